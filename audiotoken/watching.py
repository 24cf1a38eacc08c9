"""Watches how pictures are decoded: NaN, and what a safety checker rejects, become black without a word."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from audiotoken.errors import CheckpointError

BLACK = "is black, because the model's safety checker rejected it; try another seed or other words."


@contextmanager
def watch_pictures(pipe: Any) -> Iterator[list[bool]]:
    """Context manager: CheckpointError if the denoiser or the VAE answers with NaN; yields, at the end, whether each
    picture was rejected.
    """
    rejected: list[bool] = []

    def check_pixels(module: Any, args: Any, output: Any) -> None:
        pixels = output if isinstance(output, Tensor) else output[0]
        if torch.isfinite(pixels).all():
            return
        dtype = str(pixels.dtype).removeprefix("torch.")
        if not torch.isfinite(args[0]).all():
            raise CheckpointError(
                f"The denoiser in {dtype} answered with NaN or infinity, expected latents; draw in float32, with a "
                "lower guidance_scale, or with another model."
            )
        raise CheckpointError(
            f"The VAE in {dtype} answered with NaN or infinity, expected a picture; draw in float32, or use a model "
            "with another VAE."
        )

    def note_rejected(module: Any, args: Any, output: Any) -> None:
        rejected.extend(bool(each) for each in output[1])

    vae, checker = getattr(pipe, "vae", None), getattr(pipe, "safety_checker", None)
    with ExitStack() as hooks:
        for module, hook in ((getattr(vae, "decoder", None), check_pixels), (checker, note_rejected)):
            if isinstance(module, torch.nn.Module):
                hooks.callback(module.register_forward_hook(hook).remove)
        yield rejected


def describe_rejected(rejected: list[bool]) -> list[str]:
    """A sentence for each picture that a safety checker rejected."""
    return [f"Picture {number} {BLACK}" for number, each in enumerate(rejected, 1) if each]
