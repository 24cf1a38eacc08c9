"""A thing that moves while the world stays: frames of one picture with regions that differ.

Frames are rows of a batch that share their initial noise, and read the first frame's pixels in self-attention beside
their own, after Text2Video-Zero, Khachatryan et al. (2023), arXiv 2303.13439. Outside of where a thing
stands now or stood in the first frame, latents are drawn towards the first frame's (their background smoothing).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from guidance.energies import Energy
from guidance.errors import GuidanceError
from guidance.methods import Guidance
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
        first = first.detach()  # a later frame's energy does not move the first
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
    energy: str | Guidance | Energy = "combined",
    seed: int = 0,
    stillness: float = 0.6,
    at_once: int = 8,
    callback: Callable[[int, int], None] | None = None,
    **sampling: Any,
) -> Sample:
    """One picture a frame: `regions[frame]` are where things are then, the prompt and the noise are the same.

    Boxes should hold all of a thing: what hangs over by more than an eighth of the picture leaves a trace behind.

    stillness: how much of the first frame's latents what is outside of regions takes at every step, in [0, 1].
    at_once: frames that are drawn together, the first of all beside the others, which so need more memory. `sampling`
    is that of `sample`; callback(done, all) counts steps. The trace, and the maps if asked, are
    those of the first few frames.
    """
    if not regions:
        raise GuidanceError("Got no frame, want the regions of one or more; give a list for each frame.")
    if at_once < 2 or not 0 <= stillness <= 1:
        raise GuidanceError(f"Got at_once={at_once}, stillness={stillness}, want 2 or more, and 0 to 1; change them.")
    others, parts = at_once - 1, []
    starts = range(1, max(len(regions), 2), others)
    for number, start in enumerate(starts):
        chunk = [regions[0], *regions[start : start + others]]

        def still(step: int, latents: Tensor, number: int = number, chunk: Any = chunk) -> Tensor:
            if callback is not None:
                callback(number, len(starts))
            return smoothed(latents, chunk, stillness)

        with cross_frame_attention(getattr(backbone, "unet", backbone), len(chunk)):
            options = {"regions": chunk, "energy": energy, "seed": seed, "callback": still, **sampling}
            parts.append(sample(backbone, [prompt] * len(chunk), **options))
    images = [parts[0].images[0]] + [image for part in parts for image in part.images[1:]]
    latents = torch.cat([parts[0].latents[:1]] + [part.latents[1:] for part in parts])
    return Sample(images, parts[0].trace, latents, parts[0].maps)


def smoothed(latents: Tensor, regions: Sequence[Sequence[Region]], stillness: float) -> Tensor:
    """Background smoothing, Khachatryan et al. (2023): x_k = M x_k + (1 - M) (a x_1 + (1 - a) x_k).

    M is 1 where a region of frame k or of the first frame is, (batch, channels, h, w) latents.
    """
    h, w = latents.shape[2:]
    covers = torch.stack([_covered(each, h, w) for each in regions]).to(latents)  # (frames, h, w)
    share = stillness * (1 - torch.maximum(covers, covers[:1]))[:, None]
    return latents + share * (latents[:1] - latents)


def _covered(regions: Sequence[Region], h: int, w: int) -> Tensor:
    """(h, w) in [0, 1]: where any region is, and an eighth of the picture around it, as things hang over."""
    if not regions:
        return torch.zeros(h, w)
    cover = torch.stack([region.cover(h, w) for region in regions]).amax(0)
    reach = max(1, min(h, w) // 8)
    return F.max_pool2d(cover[None, None], 2 * reach + 1, stride=1, padding=reach)[0, 0]
