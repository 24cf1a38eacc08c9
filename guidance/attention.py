"""What each pixel reads in the prompt: cross-attention captured, and leaned on.

A processor is wrapped around the one that is there, on `attn2` only, and taken off on exit. The layer's output is
computed by the wrapped processor (SDPA, sliced, LoRA, whatever it is), so that capturing changes no bit of it; the maps
are computed beside it from the same queries and keys.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Bias = Callable[[int], Tensor | None]  # pixels -> (batch, pixels, tokens) added to the logits, or None


class EndOfForward(Exception):
    """Raised inside a forward when the last map that was asked for is there."""


@dataclass(eq=False)
class Capture:
    """What goes on while a UNet runs. `maps` are those of the last forward, in the order they came.

    `stop` ends the forward at the last layer (`EndOfForward`), `cut` ends only the recording of gradients there: the
    rest of the forward runs, but nothing is kept for a way back through it.
    """

    layers: tuple[str, ...]
    maps: dict[str, Tensor] = field(default_factory=dict)  # layer -> (batch, heads, pixels, tokens) float32
    on: bool = True  # maps are kept
    stop: bool = False
    cut: bool = False
    bias: Bias | None = None

    def clear(self) -> None:
        self.maps.clear()


class CaptureProcessor:
    """The processor `inner`, watched."""

    def __init__(self, name: str, inner: Any, capture: Capture):
        self.name, self.inner, self.capture = name, inner, capture

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        capture, last = self.capture, self.name == self.capture.layers[-1] if self.capture.layers else False
        if capture.on and self.name in capture.layers:
            capture.maps[self.name] = attention_maps(attn, hidden_states, encoder_hidden_states)
            if last and capture.stop:
                raise EndOfForward
            if last and capture.cut:
                torch.set_grad_enabled(False)  # put back by `recording`
                hidden_states = hidden_states.detach()
        bias = capture.bias(hidden_states.shape[1]) if capture.bias is not None else None
        if bias is not None:
            bias = bias.to(hidden_states)
            attention_mask = bias if attention_mask is None else attention_mask + bias
        return self.inner(attn, hidden_states, encoder_hidden_states, attention_mask, *args, **kwargs)


def attention_maps(attn: Any, pixels: Tensor, tokens: Tensor | None) -> Tensor:
    """softmax(Q K^T / sqrt(d)) -> (batch, heads, pixels, tokens) float32: half precision would round small shares."""
    if tokens is not None and attn.norm_cross:
        tokens = attn.norm_encoder_hidden_states(tokens)

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

    query, key = heads(attn.to_q(pixels)), heads(attn.to_k(pixels if tokens is None else tokens))
    return (query.float() @ key.float().transpose(-1, -2) * attn.scale).softmax(-1)


@contextmanager
def capture_cross_attention(
    unet: Any, layers: Sequence[str] | None = None, *, bias: Bias | None = None
) -> Iterator[Capture]:
    """While open, `unet`'s forward leaves its cross-attention in `.maps`; the processors are put back on exit.

    unet: a UNet2DConditionModel, or what has one as `.unet`. layers: names as `cross_attention_layers` gives them, by
    default all. bias: what is added to the logits of every cross-attention layer ("forward" guidance).
    """
    unet = getattr(unet, "unet", unet)
    known = cross_attention_layers(unet)
    chosen = tuple(name for name in known if layers is None or name in layers)
    if layers is not None and (unknown := sorted(set(layers) - set(known))):
        raise ValueError(f"Got the layer {unknown[0]}, want some of {', '.join(known)}; change it.")
    before = dict(unet.attn_processors)
    capture = Capture(chosen, bias=bias)
    wrapped: Mapping[str, Any] = {
        name: CaptureProcessor(layer_of(name), inner, capture) if layer_of(name) in known else inner
        for name, inner in before.items()
    }
    try:
        unet.set_attn_processor(dict(wrapped))  # which it empties
        yield capture
    finally:
        unet.set_attn_processor(dict(before))


@contextmanager
def recording() -> Iterator[None]:
    """Gradients are recorded inside, until a capture cuts; as before on exit, also when a forward ends early."""
    before = torch.is_grad_enabled()
    try:
        torch.set_grad_enabled(True)
        yield
    except EndOfForward:
        pass
    finally:
        torch.set_grad_enabled(before)


def cross_attention_layers(unet: Any) -> tuple[str, ...]:
    """Names of the cross-attention layers in the order of a forward: down, mid, up."""
    names = [layer_of(name) for name in unet.attn_processors if name.endswith("attn2.processor")]
    order = {"down": 0, "mid_": 1, "up_b": 2}
    return tuple(sorted(names, key=lambda name: order[name[:4]]))  # stable: within these they are in order


def layer_of(processor: str) -> str:
    return processor.removesuffix(".processor")
