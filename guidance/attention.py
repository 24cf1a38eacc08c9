"""Cross-attention maps, captured while a UNet runs, and a bias that is added to its logits.

An attention processor is wrapped around the one that is there, on `attn2` only, and removed on exit. The output is
computed as the wrapped processor (SDPA, sliced or any other) does, so that capturing does not change a bit of it; the
maps are computed beside it from the same queries and keys.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from guidance.errors import GuidanceError
from guidance.interfaces import Attention, AttentionProcessor, DiffusionPipelineLike, UNet2DConditionModel

AttentionBias = Callable[[int], Float[Tensor, "batch pixels tokens"] | None]  # of a number of pixels


@dataclass(eq=False)
class Capture:
    """What is captured while a UNet runs, and how. `maps` are those of the last forward pass, in the order of layers.

    `rows` captures only the last rows of a batch. With `detach_at_last_map` no gradients are recorded from the last
    layer on: the rest of the pass runs, but keeps nothing for the backward pass.
    """

    layers: tuple[str, ...]
    maps: dict[str, Float[Tensor, "batch heads pixels tokens"]] = field(default_factory=dict)  # by layer, float32
    enabled: bool = True
    rows: int | None = None
    detach_at_last_map: bool = False
    bias: AttentionBias | None = None

    def clear(self) -> None:
        self.maps.clear()


class CaptureProcessor:
    """Wraps the attention processor `inner`: captures the layer's maps and adds the bias to its logits.

    The processor that diffusers installs is not called but computed here, because it projects queries and keys a second
    time and repeats the bias for each head: the same operations in the same order, so no bit of the output differs.
    """

    def __init__(self, layer: str, inner: AttentionProcessor, capture: Capture) -> None:
        self.layer, self.inner, self.capture = layer, inner, capture

    def __call__(
        self,
        attn: Attention,
        hidden_states: Float[Tensor, "batch pixels channels"],
        encoder_hidden_states: Float[Tensor, "batch tokens width"] | None = None,
        attention_mask: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Float[Tensor, "batch pixels channels"]:
        reads = self.capture.enabled and self.layer in self.capture.layers
        known = is_known(attn, self.inner) and hidden_states.ndim == 3
        query = key = None
        if reads or known:
            query, key, context = project(attn, hidden_states, encoder_hidden_states)
        if reads and query is not None and key is not None:
            self._capture(query, key, attn.scale, attention_mask)
            if self.layer == self.capture.layers[-1] and self.capture.detach_at_last_map:
                torch.set_grad_enabled(False)  # `record_gradients` restores it
                hidden_states, query, key = hidden_states.detach(), query.detach(), key.detach()
        mask = self._add_bias(attention_mask, hidden_states)
        if not known or query is None or key is None:
            return self.inner(attn, hidden_states, encoder_hidden_states, mask, *args, **kwargs)
        return attend(attn, query, key, context, hidden_states, mask)

    def _capture(self, query: Tensor, key: Tensor, scale: float, attention_mask: Tensor | None) -> None:
        capture = self.capture
        first = 0 if capture.rows is None else len(query) - capture.rows
        mask = None if attention_mask is None else attention_mask[first:]
        capture.maps[self.layer] = compute_attention_maps(query[first:], key[first:], scale, mask)

    def _add_bias(self, mask: Tensor | None, hidden_states: Tensor) -> Float[Tensor, "batch _pixels tokens"] | None:
        bias = None if self.capture.bias is None else self.capture.bias(hidden_states.shape[1])
        if bias is None:
            return mask
        bias = bias.to(hidden_states)
        return bias if mask is None else mask + bias


def is_known(attn: Attention, processor: AttentionProcessor) -> bool:
    """Whether `attend` computes what the processor does."""
    plain = attn.spatial_norm is None and attn.group_norm is None
    return plain and type(processor).__name__ == "AttnProcessor2_0"


def project(
    attn: Attention,
    hidden_states: Float[Tensor, "batch pixels channels"],
    encoder_hidden_states: Float[Tensor, "batch tokens width"] | None,
) -> tuple[
    Float[Tensor, "batch _heads _pixels _channels"],
    Float[Tensor, "batch _heads _tokens _channels"],
    Float[Tensor, "batch _tokens _width"],
]:
    """(queries, keys, context) of each head. Layers with fewer heads for keys (grouped queries) repeat those."""
    if encoder_hidden_states is not None and attn.norm_cross:
        encoder_hidden_states = attn.norm_encoder_hidden_states(encoder_hidden_states)
    context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
    query, key = attn.to_q(hidden_states), attn.to_k(context)
    width = query.shape[-1] // attn.heads
    query, key = (x.unflatten(-1, (-1, width)).transpose(1, 2) for x in (query, key))
    query = query if attn.norm_q is None else attn.norm_q(query)
    key = key if attn.norm_k is None else attn.norm_k(key)
    key = key if key.shape[1] == attn.heads else key.repeat_interleave(attn.heads // key.shape[1], dim=1)
    return query, key, context


def attend(
    attn: Attention,
    query: Float[Tensor, "batch heads pixels _channels"],
    key: Float[Tensor, "batch heads tokens _channels"],
    context: Float[Tensor, "batch tokens _width"],
    hidden_states: Float[Tensor, "batch pixels channels"],
    mask: Float[Tensor, "batch _pixels tokens"] | None,
) -> Float[Tensor, "batch pixels channels"]:
    """The layer's output; the mask is one for all heads."""
    value = attn.to_v(context).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
    mask = None if mask is None else mask[:, None]
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)
    output: Tensor = attn.to_out[1](attn.to_out[0](mixed.to(query.dtype)))
    output = output + hidden_states if attn.residual_connection else output
    return output if attn.rescale_output_factor == 1 else output / attn.rescale_output_factor


def compute_attention_maps(
    query: Float[Tensor, "batch heads pixels channels"],
    key: Float[Tensor, "batch heads _tokens channels"],
    scale: float,
    attention_mask: Tensor | None = None,
) -> Float[Tensor, "batch heads pixels _tokens"]:
    """softmax(Q K^T / sqrt(d) + mask) over the tokens, in float32: half precision rounds small shares to nothing."""
    rows = query.shape[:2]
    query, key = query.float().flatten(0, 1), key.float().flatten(0, 1)
    logits = torch.baddbmm(query.new_empty(1), query, key.mT, beta=0, alpha=scale).unflatten(0, rows)
    return (logits if attention_mask is None else logits + attention_mask[:, None]).softmax(-1)


@contextmanager
def capture_cross_attention(
    unet: UNet2DConditionModel | DiffusionPipelineLike,
    layers: Sequence[str] | None = None,
    *,
    bias: AttentionBias | None = None,
    detach_at_last_map: bool = False,
) -> Iterator[Capture]:
    """Context manager: each forward pass leaves its cross-attention in `.maps`; exit restores the processors.

    unet: a UNet2DConditionModel, or a pipeline that has one as `.unet`. layers: names as `cross_attention_layers`
    gives them, all by default. bias: added to the logits of every cross-attention layer ("forward" guidance); without
    one, only `layers` are wrapped. detach_at_last_map: see `Capture`; the passes must then run in `record_gradients`.
    GuidanceError for a layer that the UNet does not have.
    """
    model: UNet2DConditionModel = getattr(unet, "unet", unet)
    known = cross_attention_layers(model)
    chosen = tuple(name for name in known if layers is None or name in layers)
    if layers is not None and (unknown := sorted(set(layers) - set(known))):
        raise GuidanceError(f"Got the layer {unknown[0]!r}, expected some of {', '.join(known)}; change it.")
    before, touched = dict(model.attn_processors), chosen if bias is None else known
    capture = Capture(chosen, bias=bias, detach_at_last_map=detach_at_last_map)
    wrapped: Mapping[str, AttentionProcessor] = {
        name: CaptureProcessor(layer_name(name), inner, capture) if layer_name(name) in touched else inner
        for name, inner in before.items()
    }
    try:
        model.set_attn_processor(dict(wrapped))  # a copy, because diffusers empties it
        yield capture
    finally:
        model.set_attn_processor(dict(before))


@contextmanager
def record_gradients() -> Iterator[None]:
    """Record gradients inside, until a capture detaches; restored on exit."""
    before = torch.is_grad_enabled()
    try:
        torch.set_grad_enabled(True)
        yield
    finally:
        torch.set_grad_enabled(before)


def cross_attention_layers(unet: UNet2DConditionModel) -> tuple[str, ...]:
    """Names of the cross-attention layers in the order of a forward pass: down, mid, up."""
    names = [layer_name(name) for name in unet.attn_processors if name.endswith("attn2.processor")]
    order = {"down": 0, "mid_": 1, "up_b": 2}
    return tuple(sorted(names, key=lambda name: order[name[:4]]))  # the sort is stable: within a block as they are


def layer_name(processor: str) -> str:
    """ "...attn2" of "...attn2.processor"."""
    return processor.removesuffix(".processor")
