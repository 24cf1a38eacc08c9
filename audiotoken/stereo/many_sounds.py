"""Pictures of many recordings at once, each recording as one sound without a place."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image

from audiotoken.audio import Recording
from audiotoken.placeholder import TEMPLATE
from audiotoken.prompt import Prompt
from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.generation import describe_unread
from audiotoken.watching import describe_rejected, watch_pictures

OnStepEnd = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]  # diffusers' callback_on_step_end


@dataclass(frozen=True, eq=False)
class DrawnSound:
    """The pictures of one recording."""

    images: list[Image]
    notes: list[str]  # words that were not read, pictures that are black
    rejected: bool  # the model's safety checker rejected all of them


def draw_sounds(
    pipe: SoundPipeline,
    recordings: Sequence[Recording],
    rate: int,
    *,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    token: str | None = None,
    count: int = 1,
    seed: int = 0,
    steps: int | None = None,
    guidance_scale: float | None = None,
    width: int | None = None,
    height: int | None = None,
    on_step_end: OnStepEnd | None = None,
) -> list[DrawnSound]:
    """Draw `count` pictures of each recording (channels, frames) at `rate`, all in one batch.

    The options are those of the pipeline. Raises PromptError unless the prompt has one `<audio>`.
    """
    prompts = [_encode(pipe, recording, rate, prompt or TEMPLATE, token) for recording in recordings]
    with watch_pictures(pipe) as rejected, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what the pipeline says of all pictures is said of each sound
        images = pipe(
            prompt=prompts,
            negative_prompt=negative_prompt,
            seed=seed,
            num_images_per_prompt=count,
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            width=width,
            height=height,
            callback_on_step_end=on_step_end,
        ).images
    beside, drawn = describe_unread(pipe, negative_prompt, guidance_scale), []
    for i, encoded in enumerate(prompts):
        own = slice(i * count, (i + 1) * count)
        notes = [*encoded.notes, *beside, *describe_rejected(rejected[own])]
        drawn.append(DrawnSound(images[own], notes, bool(rejected) and all(rejected[own])))
    return drawn


def _encode(pipe: SoundPipeline, recording: Recording, rate: int, prompt: str, token: str | None) -> Prompt:
    """The prompt with the one sound in it; several recordings never share a prompt."""
    (encoded,) = pipe.encode_prompts(prompt, pipe.audio_prompts(recording, rate, token))
    return encoded
