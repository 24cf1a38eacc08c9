"""Regions for checkpoints that were trained to take boxes: GLIGEN, Li et al. (2023), arXiv 2301.07093.

An alternative behind the same regions: nothing is steered, gated self-attention layers read the boxes, with the labels
as phrases. Only GLIGEN checkpoints have these layers; diffusers' StableDiffusionGLIGENPipeline does the work.
"""

from collections.abc import Sequence
from typing import Any

import torch

from guidance.errors import GuidanceError
from guidance.regions import Region
from guidance.sampling import Sample

MOST = 30  # boxes that GLIGEN was trained with


@torch.no_grad()
def sample_gligen(
    pipe: Any,
    prompt: Any,
    *,
    regions: Sequence[Region],
    grounded: float = 0.3,
    num_inference_steps: int = 50,
    guidance_scale: float = 7.5,
    seed: int = 0,
    negative_prompt: str | None = None,
) -> Sample:
    """Draw a prompt, a text or what has `.embeddings` (1, tokens, width), with each label in its box.

    pipe: a StableDiffusionGLIGENPipeline. `grounded` is the share of steps that read the boxes, 0 to 1 (0.3 in the
    paper). GuidanceError for another pipeline, and for regions without a label.
    """
    _check(pipe, regions)
    words: dict[str, Any] = {"prompt": prompt} if isinstance(prompt, str) else {"prompt_embeds": prompt.embeddings}
    drawn = pipe(
        **words,
        negative_prompt=negative_prompt,
        gligen_phrases=[region.label for region in regions],
        gligen_boxes=[list(region.box) for region in regions],
        gligen_scheduled_sampling_beta=grounded,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        generator=torch.Generator().manual_seed(seed),
        output_type="latent",
    )
    latents = drawn.images
    pixels = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]
    pixels, bad = pipe.run_safety_checker(pixels, pixels.device, latents.dtype)
    fine = [True] * len(pixels) if bad is None else [not each for each in bad]
    return Sample(pipe.image_processor.postprocess(pixels, output_type="pil", do_denormalize=fine), [], latents)


def _check(pipe: Any, regions: Sequence[Region]) -> None:
    if getattr(getattr(pipe, "unet", None), "position_net", None) is None:
        raise GuidanceError(
            f"The UNet of this {type(pipe).__name__} reads no boxes; load a GLIGEN checkpoint, or use sample()."
        )
    if not regions or not all(region.label for region in regions):
        raise GuidanceError("GLIGEN reads labels: got a region without one, or no region; say what they are.")
    if len(regions) > MOST:
        raise GuidanceError(f"Got {len(regions)} regions, but GLIGEN was trained with {MOST} at most; leave some out.")
