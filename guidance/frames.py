"""A thing that moves while its surroundings stay: frames of one picture with regions that differ.

Frames are rows of a batch that share their noise, the initial one and that of the steps of a stochastic scheduler; it
moves with the things, so that they keep their shape. In self-attention they also read the first frame's pixels, after
Text2Video-Zero, Khachatryan et al. (2023), arXiv 2303.13439, who move the whole noise with the camera. Outside the
places where a thing stands now or stood in the first frame, latents are pulled towards the first frame's (the paper's
background smoothing).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from guidance.backbones import UNetBackbone
from guidance.energies import Energy
from guidance.errors import GuidanceError
from guidance.interfaces import Attention, AttentionProcessor, PromptEmbeds, UNet2DConditionModel
from guidance.methods import Guidance
from guidance.regions import Region
from guidance.sampling import Sample, sample

AT_ONCE, AT_ONCE_ON_GPU, FEWEST = 8, 32, 2  # frames drawn together


class CrossFrameProcessor:
    """Self-attention that also reads the first of `frames` rows; wraps the attention processor `inner`."""

    def __init__(self, inner: AttentionProcessor, frames: int) -> None:
        self.inner, self.frames = inner, frames

    def __call__(
        self,
        attn: Attention,
        hidden_states: Float[Tensor, "batch pixels channels"],
        encoder_hidden_states: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Float[Tensor, "batch pixels channels"]:
        """The batch is halves * frames; each half of classifier-free guidance has its own first frame."""
        first = hidden_states.unflatten(0, (-1, self.frames))[:, :1].expand(-1, self.frames, -1, -1).flatten(0, 1)
        first = first.detach()  # a later frame's energy does not move the first frame
        return self.inner(attn, hidden_states, torch.cat([first, hidden_states], 1), *args, **kwargs)


@contextmanager
def cross_frame_attention(unet: UNet2DConditionModel, frames: int) -> Iterator[None]:
    """Context manager: all of `frames` rows of a batch read the first one; exit restores the processors."""
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
    prompt: PromptEmbeds,
    *,
    regions: Sequence[Sequence[Region]],
    energy: str | Guidance | Energy = "combined",
    seed: int = 0,
    stillness: float = 0.6,
    at_once: int | None = None,
    callback: Callable[[int, int], None] | None = None,
    **sampling: Any,
) -> Sample:
    """Draw one picture per frame from one prompt and one noise; `regions[frame]` are where things are in that frame.

    Boxes should hold a thing completely: parts outside by more than an eighth of the picture leave a trace.

    stillness: weight of the first frame's latents outside the regions, at every step, in [0, 1]. at_once: number of
    frames drawn together; the first frame is drawn with every group. By default 8, on a GPU 32, and half as many as
    long as they do not fit into memory. sampling: keyword arguments of `sample`. callback: called with (number of
    groups done, number of groups) at every step. The trace and the maps are those of the first group.
    """
    unet = UNetBackbone.from_pipe(backbone).unet
    if at_once is None:
        return _animate_in_halves(
            AT_ONCE_ON_GPU if unet.device.type == "cuda" else AT_ONCE,
            partial(
                animate,
                backbone,
                prompt,
                regions=regions,
                energy=energy,
                seed=seed,
                stillness=stillness,
                callback=callback,
                **sampling,
            ),
        )
    if not regions:
        raise GuidanceError("Got no frames, expected the regions of one or more; give a list for each frame.")
    if at_once < FEWEST or not 0 <= stillness <= 1:
        raise GuidanceError(
            f"Got at_once={at_once} and stillness={stillness}, expected at least {FEWEST}, and 0 to 1; change them."
        )
    others, parts = at_once - 1, []
    starts = range(1, max(len(regions), 2), others)
    for number, start in enumerate(starts):
        group = [regions[0], *regions[start : start + others]]
        report = None if callback is None else partial(callback, number, len(starts))
        options: dict[str, Any] = {**_follow_first(group, stillness, report), **sampling}
        with cross_frame_attention(unet, len(group)):
            parts.append(sample(backbone, [prompt] * len(group), regions=group, energy=energy, seed=seed, **options))
    images = [parts[0].images[0]] + [image for part in parts for image in part.images[1:]]
    latents = torch.cat([parts[0].latents[:1]] + [part.latents[1:] for part in parts])
    return Sample(images, parts[0].trace, latents, parts[0].maps)


def _follow_first(
    group: Sequence[Sequence[Region]], stillness: float, report: Callable[[], None] | None
) -> dict[str, Any]:
    """The options of `sample` by which the frames of a group share the first one's noise and background."""
    shares: dict[int, Tensor] = {}

    def smooth(step: int, latents: Tensor) -> Tensor:
        if report is not None:
            report()
        if not shares:  # once a group: the masks are made on the CPU
            shares[0] = share_background(latents, group, stillness)
        return latents + shares[0] * (latents[:1] - latents)

    return {"callback": smooth, "change_noise": partial(carry_noise, regions=group)}


def carry_noise(
    noise: Float[Tensor, "frames channels h w"], regions: Sequence[Sequence[Region]]
) -> Float[Tensor, "frames channels h w"]:
    """The first frame's noise, in each frame moved with the regions by whole latents, so that no value is interpolated.

    A region and its surroundings, as far as a thing reaches beyond its box, take the noise of the region of the same
    number in the first frame; everything else keeps its own.
    """
    h, w = noise.shape[2:]
    frames = [noise[:1]]
    for row in regions[1:]:
        frame = noise[:1]
        for first, now in zip(regions[0], row, strict=False):
            moved = [round((b - a) * size) for a, b, size in zip(first.centre, now.centre, (w, h), strict=True)]
            inside = (_cover_regions([now], h, w) > 0.5).to(noise.device)
            frame = torch.where(inside, noise[:1].roll(moved, (3, 2)), frame)
        frames.append(frame)
    return torch.cat(frames)


def _animate_in_halves(at_once: int, draw: Callable[..., Sample]) -> Sample:
    """Draw `at_once` frames together, and half as many after each time that memory was not enough."""
    while True:
        try:
            return draw(at_once=at_once)
        except torch.OutOfMemoryError:
            if at_once <= FEWEST:
                raise
        at_once = max(FEWEST, at_once // 2)
        torch.cuda.empty_cache()


def smooth_background(
    latents: Float[Tensor, "frames channels h w"], regions: Sequence[Sequence[Region]], stillness: float
) -> Float[Tensor, "frames channels h w"]:
    """Background smoothing, Khachatryan et al. (2023): x_k = M x_k + (1 - M) (a x_1 + (1 - a) x_k).

    M is 1 in the regions of frame k and of the first frame; a is `stillness`.
    """
    return latents + share_background(latents, regions, stillness) * (latents[:1] - latents)


def share_background(
    latents: Float[Tensor, "frames channels h w"], regions: Sequence[Sequence[Region]], stillness: float
) -> Float[Tensor, "frames 1 h w"]:
    """How far each latent is pulled towards the first frame's."""
    h, w = latents.shape[2:]
    covers = torch.stack([_cover_regions(each, h, w) for each in regions]).to(latents)  # (frames, h, w)
    return stillness * (1 - torch.maximum(covers, covers[:1]))[:, None]


def _cover_regions(regions: Sequence[Region], h: int, w: int) -> Float[Tensor, "{h} {w}"]:
    """Cover in [0, 1] of all regions, widened by an eighth of the picture, as things reach beyond their boxes."""
    if not regions:
        return torch.zeros(h, w)
    cover = torch.stack([region.cover(h, w) for region in regions]).amax(0)
    reach = max(1, min(h, w) // 8)
    return F.max_pool2d(cover[None, None], 2 * reach + 1, stride=1, padding=reach)[0, 0]
