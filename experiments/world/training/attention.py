"""Attention that training can read and supervise: a noun that looks at its own thing can be steered later."""

from typing import Any

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor

SUPERVISED = ("up_blocks.1", "up_blocks.2")  # blocks whose maps learn to lie on their things


class PlainAttention:
    """Attention written out: on a CPU the fused kernel's backward pass is slower.

    Keeps the head-averaged map (batch, pixels, tokens) when asked to.
    """

    def __init__(self, keep: bool):
        self.keep = keep
        self.map: Tensor | None = None

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        def heads(x: Tensor) -> Tensor:  # (batch, length, width) -> (batch, heads, length, width / heads)
            return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key = heads(attn.to_q(hidden_states) * attn.scale), heads(attn.to_k(context))
        weights = (query @ key.transpose(-1, -2)).softmax(-1)  # float32 under autocast
        if self.keep:
            self.map = weights.mean(1)
        output = weights.to(query.dtype) @ heads(attn.to_v(context))
        return attn.to_out[0](output.transpose(1, 2).flatten(2))


def install_attention(unet: UNet2DConditionModel) -> list[PlainAttention]:
    """Write out every attention, and read every cross-attention at 8x8 and 16x16 of the upward half."""
    processors = {n: PlainAttention(n.startswith(SUPERVISED) and "attn2" in n) for n in unet.attn_processors}
    unet.set_attn_processor(dict(processors))  # which it empties
    return [p for p in processors.values() if p.keep]


def attention_losses(maps: Tensor, masks: Tensor, positions: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """How much the nouns attend outside their objects: (inside, own).

    maps (batch, pixels, tokens), masks (batch, slots, 16, 16) in [0, 1], positions (batch, slots; -1 is empty), weight
    (batch,). `inside` is -log of the share of a noun's map that lies on its object. `own` is -log of the noun's share
    among all nouns of the scene, on its object. Without `own`, a layer learns "some object" instead of "this object".
    """
    side = round(maps.shape[1] ** 0.5)
    masks = F.adaptive_avg_pool2d(masks, side).flatten(2)  # (batch, slots, pixels)
    present = positions >= 0
    same = (positions[:, :, None] == positions[:, None]) & present[:, None]  # equal words share their masks
    masks = torch.einsum("bst,btp->bsp", same.float(), masks)
    index = positions.clamp(min=0)[:, None].expand(-1, maps.shape[1], -1)
    nouns = maps.gather(2, index).transpose(1, 2) * present[..., None]  # (batch, slots, pixels)
    first = present & (torch.tril(same, -1).sum(-1) == 0)  # count each word once
    counted = first.float() * weight[:, None]
    inside = (nouns * masks).sum(-1) / (nouns.sum(-1) + 1e-6)
    rivals = (nouns * first[..., None]).sum(1, keepdim=True)
    own = -((nouns + 1e-5) / (rivals + 1e-5)).clamp(max=1).log()
    own = (own * masks).sum(-1) / (masks.sum(-1) + 1e-3)
    total = counted.sum().clamp(min=1e-3)
    return (-(inside + 1e-3).log() * counted).sum() / total, (own * counted).sum() / total
