"""A thing that moves while the world stays: frames of one picture with regions that differ.

Frames are rows of a batch that share their initial noise, and read the first frame's pixels in self-attention beside
their own, after Text2Video-Zero, Khachatryan et al. (2023), arXiv 2303.13439, sec. 3.3.2. Outside of where a thing
stands now or stood in the first frame, latents are drawn towards the first frame's (their background smoothing, eq. 8).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from guidance.backbones import GuidanceError
from guidance.refine import Guidance
from guidance.regions import Region
from guidance.sampling import Sample, sample


class CrossFrameProcessor:
    """Self-attention that also reads the first of `frames` rows; wraps the processor that is there."""

    def __init__(self, inner: Any, frames: int):
        self.inner, self.frames = inner, frames

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Any = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        """hidden_states (halves * frames, pixels, width); a half of classifier-free guidance has a first of its own."""
        first = hidden_states.unflatten(0, (-1, self.frames))[:, :1].expand(-1, self.frames, -1, -1).flatten(0, 1)
        return self.inner(attn, hidden_states, torch.cat([first, hidden_states], 1), *args, **kwargs)


@contextmanager
def cross_frame_attention(unet: Any, frames: int) -> Iterator[None]:
    """While open, `frames` rows of a batch read the first; the processors are put back on exit."""
    before = dict(unet.attn_processors)
    try:
        unet.set_attn_processor(
            {k: CrossFrameProcessor(v, frames) if k.endswith("attn1.processor") else v for k, v in before.items()}
        )
        yield
    finally:
        unet.set_attn_processor(dict(before))


def animate(
    backbone: Any,
    prompt: Any,
    *,
    regions: Sequence[Sequence[Region]],
    energy: str | Guidance = "ours",
    seed: int = 0,
    at_once: int = 8,
    **sampling: Any,
) -> Sample:
    """One picture a frame: `regions[frame]` are where things are then, the prompt is the same.

    `at_once` frames are drawn together, the first of all with each of them; `sampling` as in `sample`.
    """
    if not regions:
        raise GuidanceError("Got no frame, want the regions of one or more; give a list for each frame.")
    parts = []
    for start in range(1, max(len(regions), 2), at_once - 1):
        chunk = [regions[0], *regions[start : start + at_once - 1]]
        with cross_frame_attention(getattr(backbone, "unet", backbone), len(chunk)):
            drawn = sample(
                backbone, [prompt] * len(chunk), regions=chunk, energy=energy, seed=[seed] * len(chunk), **sampling
            )
        parts.append(drawn)
    images = [parts[0].images[0]] + [image for part in parts for image in part.images[1:]]
    return Sample(images, parts[0].trace, torch.cat([parts[0].latents[:1]] + [part.latents[1:] for part in parts]))
