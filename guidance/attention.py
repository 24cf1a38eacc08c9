"""Cross-attention maps, captured while a UNet runs, and a bias that is added to its logits.

An attention processor is wrapped around the one that is there, on `attn2` only, and removed on exit. The wrapped
processor (SDPA, sliced, LoRA or any other) computes the layer's output, so that capturing does not change a bit of it;
the maps are computed beside it from the same queries and keys.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from guidance.errors import GuidanceError
from guidance.interfaces import Attention, AttentionProcessor, DiffusionPipelineLike, UNet2DConditionModel

AttentionBias = Callable[[int], Float[Tensor, "batch pixels tokens"] | None]  # of a number of pixels


class EndOfForward(Exception):
    """Raised within a forward pass as soon as the last requested map is captured."""


@dataclass(eq=False)
class Capture:
    """What is captured while a UNet runs, and how. `maps` are those of the last forward pass, in the order of layers.

    `stop_at_last_map` ends the forward pass at the last layer (`EndOfForward`). `detach_at_last_map` only stops
    recording gradients there: the rest of the pass runs, but keeps nothing for the backward pass.
    """

    layers: tuple[str, ...]
    maps: dict[str, Float[Tensor, "batch heads pixels tokens"]] = field(default_factory=dict)  # by layer, float32
    enabled: bool = True
    stop_at_last_map: bool = False
    detach_at_last_map: bool = False
    bias: AttentionBias | None = None

    def clear(self) -> None:
        self.maps.clear()


class CaptureProcessor:
    """Wraps the attention processor `inner`: captures the layer's maps and adds the bias to its logits."""

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
        capture = self.capture
        if capture.enabled and self.layer in capture.layers:
            capture.maps[self.layer] = compute_attention_maps(
                attn, hidden_states, encoder_hidden_states, attention_mask
            )
            is_last = self.layer == capture.layers[-1]
            if is_last and capture.stop_at_last_map:
                raise EndOfForward
            if is_last and capture.detach_at_last_map:
                torch.set_grad_enabled(False)  # `record_gradients` restores it
                hidden_states = hidden_states.detach()
        bias = capture.bias(hidden_states.shape[1]) if capture.bias is not None else None
        if bias is not None:
            bias = bias.to(hidden_states)
            attention_mask = bias if attention_mask is None else attention_mask + bias
        return self.inner(attn, hidden_states, encoder_hidden_states, attention_mask, *args, **kwargs)


def compute_attention_maps(
    attn: Attention,
    hidden_states: Float[Tensor, "batch pixels channels"],
    encoder_hidden_states: Float[Tensor, "batch tokens width"] | None,
    attention_mask: Tensor | None = None,
) -> Float[Tensor, "batch heads pixels _tokens"]:
    """softmax(Q K^T / sqrt(d) + mask) over the tokens (over the pixels in self-attention).

    In float32, because half precision would round small shares to nothing. Layers with fewer heads for keys (grouped
    queries) and with normalised queries and keys are computed as such.
    """
    if encoder_hidden_states is not None and attn.norm_cross:
        encoder_hidden_states = attn.norm_encoder_hidden_states(encoder_hidden_states)

    context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
    query, key = attn.to_q(hidden_states), attn.to_k(context)
    width = query.shape[-1] // attn.heads
    query, key = (x.unflatten(-1, (-1, width)).transpose(1, 2) for x in (query, key))
    query = query if attn.norm_q is None else attn.norm_q(query)
    key = key if attn.norm_k is None else attn.norm_k(key)
    key = key if key.shape[1] == attn.heads else key.repeat_interleave(attn.heads // key.shape[1], dim=1)
    logits = query.float() @ key.float().transpose(-1, -2) * attn.scale
    return (logits if attention_mask is None else logits + attention_mask[:, None]).softmax(-1)


@contextmanager
def capture_cross_attention(
    unet: UNet2DConditionModel | DiffusionPipelineLike,
    layers: Sequence[str] | None = None,
    *,
    bias: AttentionBias | None = None,
) -> Iterator[Capture]:
    """Context manager: each forward pass leaves its cross-attention in `.maps`; exit restores the processors.

    unet: a UNet2DConditionModel, or a pipeline that has one as `.unet`. layers: names as `cross_attention_layers`
    gives them, all by default. bias: added to the logits of every cross-attention layer ("forward" guidance).
    GuidanceError for a layer that the UNet does not have.
    """
    model: UNet2DConditionModel = getattr(unet, "unet", unet)
    known = cross_attention_layers(model)
    chosen = tuple(name for name in known if layers is None or name in layers)
    if layers is not None and (unknown := sorted(set(layers) - set(known))):
        raise GuidanceError(f"Got the layer {unknown[0]!r}, expected some of {', '.join(known)}; change it.")
    before = dict(model.attn_processors)
    capture = Capture(chosen, bias=bias)
    wrapped: Mapping[str, AttentionProcessor] = {
        name: CaptureProcessor(layer_name(name), inner, capture) if layer_name(name) in known else inner
        for name, inner in before.items()
    }
    try:
        model.set_attn_processor(dict(wrapped))  # a copy, because diffusers empties it
        yield capture
    finally:
        model.set_attn_processor(dict(before))


@contextmanager
def record_gradients() -> Iterator[None]:
    """Record gradients inside, until a capture detaches; restored on exit, also when a forward pass ends early."""
    before = torch.is_grad_enabled()
    try:
        torch.set_grad_enabled(True)
        yield
    except EndOfForward:
        pass
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
