"""Regions as a control image, for ControlNets that read a segmentation: Zhang et al. (2023), arXiv 2302.05543.

An alternative behind the same regions: each is painted in the colour of its ADE20K class, and a ControlNet adds what it
makes of that to the denoiser. It goes through the one denoising loop, so any energy may move the latents as well, or
"none". diffusers' ControlNetModel does the work; without an energy the pictures are those of its own pipeline.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from guidance.ade20k import COLOURS, STUFF, UNLABELLED, class_of
from guidance.backbones import Backbone
from guidance.errors import GuidanceError
from guidance.hub import BROKEN, refusal, source_of
from guidance.regions import Region

SAME = (
    "cross_attention_dim",
    "in_channels",
    "block_out_channels",
    "down_block_types",
    "layers_per_block",
    "addition_embed_type",
)
WANTED = "a ControlNet for segmentation, such as lllyasviel/control_v11p_sd15_seg, in the diffusers layout"

Nearest = Callable[[str, Sequence[str]], str]  # (a word, classes) -> the class that is most like it


@dataclass(frozen=True, eq=False)
class Controlled(Backbone):
    """A backbone whose denoiser is told what a ControlNet makes of a picture; made by `controlled`."""

    control: Any = None  # ControlNetModel
    image: Tensor = field(default_factory=Tensor)  # (1, 3, height, width) in [0, 1]
    strength: float = 1.0

    def predict_raw(self, inputs: Tensor, timestep: Any, embeddings: Tensor, added: dict[str, Tensor]) -> Tensor:
        """As the backbone's, with the ControlNet's residuals in the down and mid blocks."""
        factor = self.pipe.vae_scale_factor
        size = [factor * side for side in inputs.shape[-2:]]
        image = self.image if list(self.image.shape[-2:]) == size else F.interpolate(self.image, size)
        down, mid = self.control(
            inputs,
            timestep,
            encoder_hidden_states=embeddings,
            controlnet_cond=image.expand(len(inputs), -1, -1, -1),
            conditioning_scale=self.strength,
            added_cond_kwargs=added or None,
            return_dict=False,
        )
        return self.unet(
            inputs,
            timestep,
            encoder_hidden_states=embeddings,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
            added_cond_kwargs=added or None,
            return_dict=False,
        )[0]


def load_control(name: str | os.PathLike, pipe: Any) -> Any:
    """The ControlNetModel of a folder or hub id, on the device and in the precision of `pipe`'s UNet, weights frozen.

    GuidanceError, one sentence, when it cannot be loaded or was made for another model than `pipe`.
    """
    from diffusers import ControlNetModel

    where = source_of(name, "ControlNet", WANTED)
    try:
        config = ControlNetModel.load_config(where)
        if config.get("_class_name") != "ControlNetModel":
            raise ValueError(f"it is a {config.get('_class_name', 'model of no kind')}")
        check_fit(config, pipe, name)
        control = ControlNetModel.from_pretrained(where, dtype=pipe.unet.dtype)
    except GuidanceError:
        raise
    except BROKEN as error:
        raise refusal(name, error, "ControlNet", WANTED) from error
    return control.to(pipe.unet.device).eval().requires_grad_(False)


def check_fit(config: Any, pipe: Any, name: str | os.PathLike = "given") -> None:
    """GuidanceError where a ControlNet's configuration is not that of the UNet's lower half."""
    if config.get("conditioning_channels", 3) != 3:
        raise GuidanceError(f"The ControlNet {name} reads no colours, so it reads no segmentation; give {WANTED}.")
    for key in SAME:
        own, theirs = _plain(pipe.unet.config.get(key)), _plain(config.get(key))
        if own != theirs:
            came = f"The ControlNet {name} was made for another model: its {key} is {theirs}, the UNet's is {own}"
            raise GuidanceError(f"{came}; take one that was trained on the same Stable Diffusion.")


def controlled(
    pipe: Any, control: Any, regions: Sequence[Region], *, nearest: Nearest | None = None, strength: float = 1.0
) -> tuple[Controlled, Any, list[str]]:
    """(what to `sample` from, its control image, sentences): a pipeline whose pictures follow the regions' image.

    control: a ControlNetModel. nearest: asked for words that no class is known for; without it they are left black,
    which is what no class was found for. strength: 0 is without. GuidanceError for what does not fit.
    """
    backbone = Backbone.of(pipe)
    check_fit(control.config, backbone.pipe)
    classes, notes = _classes(regions, nearest)
    height, width = backbone.size(None, None)
    image = paint(regions, classes, (height, width))
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, height, width, 3)
    shown = (pixels.permute(0, 3, 1, 2).float() / 255).to(backbone.unet.device, backbone.unet.dtype)
    return Controlled(backbone.pipe, control, shown, strength), image, notes


def paint(regions: Sequence[Region], classes: Sequence[str | None], size: tuple[int, int]) -> Any:
    """A PIL image, `size` (height, width) pixels: an ellipse in the box of each thing, all of the box of a landscape.

    The larger are behind. What has no class, and all around, is black.
    """
    from PIL import Image, ImageDraw

    height, width = size
    image = Image.new("RGB", (width, height), UNLABELLED)
    pen = ImageDraw.Draw(image)
    rows = [(region.box, name) for region, name in zip(regions, classes, strict=True) if name is not None]
    for (x0, y0, x1, y1), name in sorted(rows, key=lambda row: -_area(row[0])):
        edges = (x0 * width, y0 * height, x1 * width - 1, y1 * height - 1)
        corners = (*edges[:2], max(edges[0], edges[2]), max(edges[1], edges[3]))
        (pen.rectangle if name in STUFF else pen.ellipse)(corners, fill=COLOURS[name])
    return image


def _classes(regions: Sequence[Region], nearest: Nearest | None) -> tuple[list[str | None], list[str]]:
    """Of each region, and sentences about words that ADE20K has no class for."""
    classes: list[str | None] = []
    notes = []
    for region in regions:
        name = class_of(region.label)
        if name is None and nearest is not None:
            name = nearest(region.label, list(COLOURS))
        if name is None:
            notes.append(f"The ControlNet knows no class for {region.label}: it has no colour there.")
        elif class_of(region.label) is None:
            notes.append(f"The ControlNet knows no class for {region.label}: it has the colour of {name} there.")
        classes.append(name)
    return classes, notes


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _plain(value: Any) -> Any:
    """JSON has lists where Python has tuples."""
    return list(value) if isinstance(value, list | tuple) else value
