"""Regions as a control image for ControlNets that read a segmentation: Zhang et al. (2023), arXiv 2302.05543.

An alternative for the same regions: each is painted in the colour of its ADE20K class, and a ControlNet adds residuals
computed from that image to the denoiser. Pictures are drawn by the same denoising loop, so any energy may move the
latents as well, or none. diffusers' ControlNetModel does the work; without an energy the pictures are those of its own
pipeline.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from guidance.ade20k import COLOURS, STUFF, UNLABELLED, find_class
from guidance.backbones import Backbone, UNetBackbone
from guidance.errors import GuidanceError
from guidance.hub import LOAD_ERRORS, load_error, resolve_source
from guidance.interfaces import ControlNetModel, DiffusionPipelineLike
from guidance.regions import Box, Region

SHARED_KEYS = (  # of the configurations of a ControlNet and its UNet
    "cross_attention_dim",
    "in_channels",
    "block_out_channels",
    "down_block_types",
    "layers_per_block",
    "addition_embed_type",
)
EXPECTED = "a ControlNet for segmentation, such as lllyasviel/control_v11p_sd15_seg, in the diffusers layout"

FindNearest = Callable[[str, Sequence[str]], str]  # (word, classes) -> the most similar class


@dataclass(frozen=True, eq=False)
class ControlNetBackbone(UNetBackbone):
    """A backbone whose denoiser also gets a ControlNet's residuals; made by `attach_controlnet`."""

    controlnet: ControlNetModel
    image: Tensor  # (1, 3, height, width) in [0, 1]
    strength: float = 1.0

    def predict_raw(
        self, inputs: Tensor, timestep: Tensor | float, embeddings: Tensor, added: dict[str, Tensor]
    ) -> Tensor:
        """As in `Backbone`, with the ControlNet's residuals in the down and mid blocks."""
        factor = self.pipe.vae_scale_factor
        size = [factor * side for side in inputs.shape[-2:]]
        image = self.image if list(self.image.shape[-2:]) == size else F.interpolate(self.image, size)
        down, mid = self.controlnet(
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


def load_controlnet(name: str | os.PathLike, pipe: DiffusionPipelineLike) -> ControlNetModel:
    """The ControlNetModel of a folder or hub id, on the device and in the precision of `pipe`'s UNet, weights frozen.

    GuidanceError, one sentence, when it cannot be loaded or was made for another model than `pipe`.
    """
    from diffusers import ControlNetModel as Model  # takes seconds, and few need it

    source = resolve_source(name, "ControlNet", EXPECTED)
    try:
        config = Model.load_config(source)
        if config.get("_class_name") != "ControlNetModel":
            raise ValueError(f"it is a {config.get('_class_name', 'model without a class name')}")
        check_controlnet(config, pipe, name)
        controlnet = Model.from_pretrained(source, dtype=pipe.unet.dtype)
    except GuidanceError:
        raise
    except LOAD_ERRORS as error:
        raise load_error(name, error, "ControlNet", EXPECTED) from error
    return controlnet.to(pipe.unet.device).eval().requires_grad_(False)


def check_controlnet(config: Mapping[str, Any], pipe: DiffusionPipelineLike, name: str | os.PathLike = "given") -> None:
    """GuidanceError where a ControlNet's configuration does not fit the downward half of the UNet."""
    if config.get("conditioning_channels", 3) != 3:
        raise GuidanceError(f"The ControlNet {name} reads no colours, so it reads no segmentation; give {EXPECTED}.")
    for key in SHARED_KEYS:
        own, other = _tuple_to_list(pipe.unet.config.get(key)), _tuple_to_list(config.get(key))
        if own != other:
            raise GuidanceError(
                f"The ControlNet {name} was made for another model: its {key} is {other}, the UNet's is {own}; use one "
                "that was trained on the same Stable Diffusion."
            )


def attach_controlnet(
    pipe: DiffusionPipelineLike | Backbone,
    controlnet: ControlNetModel,
    regions: Sequence[Region],
    *,
    nearest: FindNearest | None = None,
    strength: float = 1.0,
) -> tuple[ControlNetBackbone, Image.Image, list[str]]:
    """(a backbone for `sample`, its control image, notes): its pictures follow the segmentation of the regions.

    nearest: chooses a class for words that have none; without it their regions stay black, which is unlabelled.
    strength: of the residuals; 0 draws without the ControlNet. GuidanceError for a ControlNet that does not fit.
    """
    backbone = UNetBackbone.from_pipe(pipe)
    check_controlnet(controlnet.config, backbone.pipe)
    classes, notes = _choose_classes(regions, nearest)
    height, width = backbone.resolve_size(None, None)
    image = paint_segmentation(regions, classes, (height, width))
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, height, width, 3)
    batch = (pixels.permute(0, 3, 1, 2).float() / 255).to(backbone.unet.device, backbone.unet.dtype)
    return ControlNetBackbone(backbone.pipe, controlnet, batch, strength), image, notes


def paint_segmentation(regions: Sequence[Region], classes: Sequence[str | None], size: tuple[int, int]) -> Image.Image:
    """A segmentation of `size` (height, width) pixels: things are ellipses in their boxes, stuff fills its box.

    Larger regions are behind. Regions without a class and the background are black.
    """
    height, width = size
    image = Image.new("RGB", (width, height), UNLABELLED)
    draw = ImageDraw.Draw(image)
    labelled = [(region.box, name) for region, name in zip(regions, classes, strict=True) if name is not None]
    for (x0, y0, x1, y1), name in sorted(labelled, key=lambda entry: -_area(entry[0])):
        edges = (x0 * width, y0 * height, x1 * width - 1, y1 * height - 1)
        corners = (*edges[:2], max(edges[0], edges[2]), max(edges[1], edges[3]))
        (draw.rectangle if name in STUFF else draw.ellipse)(corners, fill=COLOURS[name])
    return image


def _choose_classes(regions: Sequence[Region], nearest: FindNearest | None) -> tuple[list[str | None], list[str]]:
    """(the class of each region, notes about words that ADE20K has no class for)."""
    classes: list[str | None] = []
    notes = []
    for region in regions:
        own = name = find_class(region.label)
        if name is None and nearest is not None:
            name = nearest(region.label, list(COLOURS))
        if own is None:
            painted = "it has no colour there" if name is None else f"it has the colour of {name} there"
            notes.append(f"The ControlNet knows no class for {region.label}: {painted}.")
        classes.append(name)
    return classes, notes


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _tuple_to_list(value: Any) -> Any:
    """JSON has lists where Python has tuples."""
    return list(value) if isinstance(value, list | tuple) else value
