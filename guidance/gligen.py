"""Regions for checkpoints that were trained with boxes: GLIGEN, Li et al. (2023), arXiv 2301.07093.

An alternative for the same regions: no latents are moved; gated self-attention layers read the boxes, with the labels
as phrases. Only GLIGEN checkpoints have these layers; diffusers' StableDiffusionGLIGENPipeline draws the pictures.
"""

from collections.abc import Sequence
from typing import Any

import torch

from guidance.backbones import decode_checked
from guidance.errors import GuidanceError
from guidance.interfaces import DiffusionPipelineLike, PromptEmbeds
from guidance.regions import Region
from guidance.sampling import Sample

MAX_BOXES = 30  # GLIGEN was trained with


@torch.no_grad()
def sample_gligen(
    pipe: DiffusionPipelineLike,
    prompt: str | PromptEmbeds,
    *,
    regions: Sequence[Region],
    scheduled_sampling_beta: float = 0.3,
    num_inference_steps: int = 50,
    guidance_scale: float = 7.5,
    seed: int = 0,
    negative_prompt: str | None = None,
) -> Sample:
    """Draw a prompt, a text or an object with `.embeddings` (1, tokens, width), with each label in its box.

    pipe: a StableDiffusionGLIGENPipeline. scheduled_sampling_beta: the share of steps that read the boxes, 0 to 1 (0.3
    in the paper). GuidanceError for another pipeline, and for regions without a label.
    """
    _check_regions(pipe, regions)
    generate: Any = pipe
    texts: dict[str, Any] = {"prompt": prompt} if isinstance(prompt, str) else {"prompt_embeds": prompt.embeddings}
    output = generate(
        **texts,
        negative_prompt=negative_prompt,
        gligen_phrases=[region.label for region in regions],
        gligen_boxes=[list(region.box) for region in regions],
        gligen_scheduled_sampling_beta=scheduled_sampling_beta,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        generator=torch.Generator().manual_seed(seed),
        output_type="latent",
    )
    return Sample(decode_checked(pipe, output.images), [], output.images)


def _check_regions(pipe: DiffusionPipelineLike, regions: Sequence[Region]) -> None:
    if getattr(getattr(pipe, "unet", None), "position_net", None) is None:
        raise GuidanceError(
            f"Got a {type(pipe).__name__} whose UNet reads no boxes, expected GLIGEN; load a GLIGEN checkpoint, or use "
            "sample()."
        )
    if not regions or not all(region.label for region in regions):
        raise GuidanceError("Got no regions or one without a label, which GLIGEN reads; give each region a label.")
    if len(regions) > MAX_BOXES:
        raise GuidanceError(
            f"Got {len(regions)} regions, expected at most {MAX_BOXES}, which GLIGEN was trained with; leave some out."
        )
