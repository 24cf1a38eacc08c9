"""From a recording or a plan to pictures with each sound source where it is heard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from dataclasses import fields as dataclass_fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Generator, Tensor

from audiotoken.errors import PromptError
from audiotoken.prompt import describe_negative_cut
from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.options import DrawOptions, PlanOptions, resolve_seed
from audiotoken.stereo.planning import Plan, make_plan, timed_stage
from audiotoken.stereo.words import TextSimilarity
from audiotoken.watching import describe_rejected, watch_pictures
from guidance.backbones import Backbone
from guidance.control import attach_controlnet
from guidance.regions import Region
from guidance.sampling import Sample, sample

if TYPE_CHECKING:
    from guidance.energies import Energy
    from guidance.methods import Guidance, Regional

OnStep = Callable[[int, int], Any]  # (steps done, all steps)
OnLatents = Callable[[int, Tensor], Any]  # (steps done, latents (pictures, channels, h, w))
OnStepEnd = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]  # (pipe, step, timestep, {"latents": ...})


@dataclass(frozen=True, eq=False)
class Result(Plan):
    """A plan, its pictures, and how they were drawn."""

    sample: Sample
    seed: int
    energy: str  # its name; "custom" for a `Guidance`
    frames: list[list[Region]] = field(default_factory=list)  # of a film: the regions of each frame
    control: Image | None = None  # the control image that a ControlNet was given

    @property
    def images(self) -> list[Any]:
        """Picture i was drawn with seed + i; of a film, the frames."""
        return self.sample.images


def sound_to_image(
    recording: NDArray,
    rate: int,
    pipe: SoundPipeline,
    *,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    height: int | None = None,
    width: int | None = None,
    seed: int = 0,
    generator: Generator | None = None,
    count: int = 1,
    energy: "str | Guidance | Regional | Energy" = "auto",
    token: str | None = None,
    unmatched: str = "add",
    unknown: str = "omit",
    setup: str = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    fov: float = 90.0,
    control: Any = None,
    keep_maps: bool = False,
    output_type: str = "pil",
    progress: Callable[[float], Any] | None = None,
    on_step: OnStep | None = None,
    callback_on_step_end: OnStepEnd | None = None,
) -> Result:
    """Listen to a recording, (frames,) or (channels, frames) at `rate` Hz, and draw each source where it is heard.

    pipe: an `AudioTokenPipeline`. prompt, token, unmatched, unknown, setup, spacing, max_sources, fov and progress are
    those of `plan`, all others those of `draw`; only the initial seed of `generator` is used. All options are checked
    before the recording is listened to. Raises OptionError, PromptError, SpatialError or GuidanceError for a value that
    is not valid, AudioError or CheckpointError for a recording or model that cannot be used.
    """
    planning = PlanOptions(prompt, token, unmatched, unknown, setup, spacing, max_sources, fov)
    drawing = DrawOptions(
        energy=energy,
        seed=resolve_seed(seed, generator),
        count=count,
        negative_prompt=negative_prompt,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        height=height,
        width=width,
        keep_maps=keep_maps,
        output_type=output_type,
    )
    made = make_plan(recording, rate, pipe, planning, progress=progress)
    return draw_plan(made, pipe, drawing, control=control, on_step=on_step, callback_on_step_end=callback_on_step_end)


def draw(
    planned: Plan,
    pipe: SoundPipeline,
    *,
    negative_prompt: str | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    height: int | None = None,
    width: int | None = None,
    seed: int = 0,
    generator: Generator | None = None,
    count: int = 1,
    energy: "str | Guidance | Regional | Energy" = "auto",
    control: Any = None,
    keep_maps: bool = False,
    output_type: str = "pil",
    on_step: OnStep | None = None,
    on_latents: OnLatents | None = None,
    callback_on_step_end: OnStepEnd | None = None,
) -> Result:
    """Draw a plan.

    num_inference_steps, guidance_scale, height and width (pixels): the model's own by default. `count` pictures are
    drawn with seed, seed + 1, ... generator: one torch.Generator, of which only the initial seed is used, instead of
    `seed`; its state is neither read nor changed. energy: "auto" (the model's own method), "none", one of
    `guidance.METHODS`, a `Guidance`, a `Regional` or an energy function. control: a ControlNetModel that is given the
    regions as a segmentation, see `guidance.control`. keep_maps: keep the attention maps of each region. output_type:
    "pil", or "np" for arrays (height, width, 3) in [0, 1].

    After each step on_step(steps done, all steps), on_latents(steps done, latents) and, as in diffusers,
    callback_on_step_end(pipe, step, timestep, {"latents": latents}) are called; the last may return
    {"latents": other latents} to continue with. An exception in one of them ends the drawing.
    """
    options = DrawOptions(
        energy=energy,
        seed=resolve_seed(seed, generator),
        count=count,
        negative_prompt=negative_prompt,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        height=height,
        width=width,
        keep_maps=keep_maps,
        output_type=output_type,
    )
    return draw_plan(
        planned,
        pipe,
        options,
        control=control,
        on_step=on_step,
        on_latents=on_latents,
        callback_on_step_end=callback_on_step_end,
    )


def draw_plan(
    planned: Plan,
    pipe: SoundPipeline,
    options: DrawOptions,
    *,
    control: Any = None,
    on_step: OnStep | None = None,
    on_latents: OnLatents | None = None,
    callback_on_step_end: OnStepEnd | None = None,
) -> Result:
    """Draw a plan with the given options, as `draw` does."""
    seconds, options = dict(planned.seconds), choose_method(pipe, options)
    backbone, image, notes = _prepare_control(planned, pipe, control)
    steps = options.num_inference_steps or Backbone.from_pipe(pipe).defaults[0]
    with timed_stage("sample", seconds), watch_pictures(pipe) as rejected:
        drawn = sample(
            backbone,
            [planned.prompt] * options.count,
            regions=list(planned.regions.values()),
            seed=[options.seed + i for i in range(options.count)],
            callback=_combine_callbacks(pipe, steps, on_step, on_latents, callback_on_step_end),
            **options.sampling,
        )
    notes += [*describe_unread(pipe, options.negative_prompt, options.guidance_scale), *list_rejected(rejected)]
    return make_result(planned, drawn, options, seconds, notes, control=image)


def describe_unread(pipe: SoundPipeline, negative_prompt: str | None, guidance_scale: float | None) -> list[str]:
    """A sentence about a negative prompt that is too long, and about each option that this model does not read."""
    backbone = Backbone.wrap(pipe)
    unread = backbone.describe_unread(negative_prompt, guidance_scale) if backbone else []
    return [*describe_negative_cut(pipe, negative_prompt), *unread]


def list_rejected(rejected: list[bool]) -> list[str]:
    """Notes about pictures that a safety checker rejected; PromptError if it rejected all of them."""
    if rejected and all(rejected):
        raise PromptError("The model's safety checker rejected every picture; try another seed or other words.")
    return describe_rejected(rejected)


def choose_method(pipe: SoundPipeline, options: DrawOptions) -> DrawOptions:
    """The options with the model's own method for "auto"."""
    if options.energy != "auto":
        return options
    return replace(options, energy=Backbone.from_pipe(pipe).default_method)


def make_result(
    planned: Plan, drawn: Sample, options: DrawOptions, seconds: dict[str, float], notes: Sequence[str], **fields: Any
) -> Result:
    """The plan and its pictures, in the output type that the options name."""
    if options.output_type == "np":
        arrays: list[Any] = [np.asarray(image, np.float32) / 255 for image in drawn.images]
        drawn = replace(drawn, images=arrays)
    known = {each.name: getattr(planned, each.name) for each in dataclass_fields(Plan)}
    known |= {"seconds": seconds, "notes": [*planned.notes, *notes]}
    return Result(**known, sample=drawn, seed=options.seed, energy=options.energy_name, **fields)


def _prepare_control(planned: Plan, pipe: SoundPipeline, control: Any) -> tuple[Any, Image | None, list[str]]:
    """(what to sample from, the control image, notes)."""
    if control is None:
        return pipe, None, []
    if not planned.regions:
        return pipe, None, ["No source has a place, so the ControlNet was not used."]

    def find_nearest(word: str, classes: Sequence[str]) -> str:
        return classes[int(TextSimilarity(pipe, classes).compare_words([word])[:, 0].argmax())]

    return attach_controlnet(pipe, control, list(planned.regions.values()), nearest=find_nearest)


def _combine_callbacks(
    pipe: SoundPipeline, steps: int, on_step: OnStep | None, on_latents: OnLatents | None, on_step_end: OnStepEnd | None
) -> Callable[[int, Tensor], Tensor | None] | None:
    """The callback for `guidance.sample` that calls all of these; some schedulers take more steps than asked for."""
    if on_step is None and on_latents is None and on_step_end is None:
        return None
    timesteps = None if on_step_end is None else Backbone.from_pipe(pipe).make_scheduler(steps).timesteps

    def call_all(step: int, latents: Tensor) -> Tensor | None:
        if on_step is not None:
            on_step(min(step + 1, steps), steps)
        if on_latents is not None:
            on_latents(min(step + 1, steps), latents)
        if on_step_end is None or timesteps is None:
            return None
        changed: Tensor | None = (on_step_end(pipe, step, timesteps[step], {"latents": latents}) or {}).get("latents")
        return changed

    return call_all
