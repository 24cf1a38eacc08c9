"""What the buttons of the clip tab start, without Gradio: listen, match the prompt, generate, compare, film."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from audiotoken.errors import OptionError
from audiotoken.options import check_options
from audiotoken.page import edits
from audiotoken.page.background import Cancelled, Monitor, Progress, run_in_background
from audiotoken.page.session import Session
from audiotoken.page.uploads import read_upload
from audiotoken.stereo.animation import film
from audiotoken.stereo.generation import Result, draw
from audiotoken.stereo.planning import Plan, plan

if TYPE_CHECKING:
    from audiotoken.pipeline import AudioTokenPipeline

FRAMES = 12  # of a film
SAMPLING = ("negative_prompt", "num_inference_steps", "guidance_scale")


def listen_to_file(
    session: Session,
    pipe: "AudioTokenPipeline",
    path: str,
    *,
    setup: str = "auto",
    max_sources: int = 4,
    on_share: Callable[[float], object] = lambda share: None,
) -> Plan:
    """Plan a recording and keep the plan in the session; `on_share` is told which share of it is heard.

    Raises AudioError or SpatialError, and Cancelled when a person cancels.
    """

    def check_cancelled(share: float) -> None:
        if session.stop.is_set():
            raise Cancelled
        on_share(share)

    session.clear()
    recording, rate, cut = read_upload(path)
    check_cancelled(0.0)
    planned = plan(recording, rate, pipe, setup=setup, max_sources=int(max_sources), progress=check_cancelled)
    check_cancelled(1.0)
    scene = replace(planned.scene, notes=(*cut, *planned.scene.notes))
    planned = replace(planned, scene=scene, notes=[*cut, *planned.notes])
    session.plan, session.placements = planned, edits.default_placements(planned)
    return planned


def rematch(session: Session, pipe: "AudioTokenPipeline", prompt: str) -> Plan:
    """Match another prompt. Words chosen by hand return to automatic; placements stay."""
    session.plan, session.prompt = edits.match_prompt(_require_plan(session), pipe, prompt), prompt
    session.placements = [replace(placement, word=edits.AUTO) for placement in session.placements]
    return session.plan


def generate_picture(
    session: Session, pipe: "AudioTokenPipeline", prompt: str, options: Mapping[str, Any]
) -> Iterator[Progress | Result]:
    """Yield the progress with previews, then the result, which the session keeps; until then it keeps the last one.

    options: negative_prompt, seed, num_inference_steps, guidance_scale, energy, fov and token, as in `stereo.plan` and
    `draw`.
    """
    check_options(
        token=options["token"],
        seed=options["seed"],
        steps=options["num_inference_steps"],
        guidance_scale=options["guidance_scale"],
    )
    if prompt != session.prompt:
        rematch(session, pipe, prompt)
    planned, chosen = _require_plan(session), {"fov": options["fov"], "token": options["token"]}
    edited = edits.apply_edits(planned, pipe, session.placements, prompt=prompt, **chosen)
    previews = []
    sampling = {name: options[name] for name in (*SAMPLING, "seed", "energy")}

    def work(monitor: Monitor) -> Result:
        return draw(
            edited, pipe, on_latents=monitor.on_latents(_count_steps(pipe, options)), keep_maps=True, **sampling
        )

    for event in run_in_background(work, session.stop, pipe):
        if isinstance(event, Progress):
            previews += [event.preview] if event.preview is not None else []
        else:
            session.clear_result()
            session.edited_plan, session.result = edited, event
            session.previews = [*previews, event.images[0]]
        yield event


def generate_comparison(
    session: Session, pipe: "AudioTokenPipeline", options: Mapping[str, Any]
) -> Iterator[Progress | Result]:
    """The same prompt and the same noise without guidance; the session keeps the picture."""
    edited, result = _require_result(session)
    sampling = {name: options[name] for name in SAMPLING}

    def work(monitor: Monitor) -> Result:
        on_latents = monitor.on_latents(_count_steps(pipe, options))
        return draw(edited, pipe, on_latents=on_latents, seed=result.seed, energy="none", **sampling)

    for event in run_in_background(work, session.stop, pipe):
        if not isinstance(event, Progress):
            session.unguided = event.images[0]
        yield event


def generate_film(
    session: Session, pipe: "AudioTokenPipeline", options: Mapping[str, Any]
) -> Iterator[Progress | Result]:
    """A film of the moving sources, with the prompt and the noise of the last picture."""
    edited, result = _require_result(session)
    sampling = {name: options[name] for name in (*SAMPLING, "energy", "fov")}

    def work(monitor: Monitor) -> Result:
        on_step = partial(_report_film_step, monitor, count(1), _count_steps(pipe, options))
        return film(edited, pipe, frames=FRAMES, seed=result.seed, on_step=on_step, **sampling)

    yield from run_in_background(work, session.stop, pipe)


def _count_steps(pipe: "AudioTokenPipeline", options: Mapping[str, Any]) -> int:
    return options["num_inference_steps"] or pipe.config.get("default_steps", 50)


def _report_film_step(monitor: Monitor, calls: Iterator[int], steps: int, chunk: int, chunks: int) -> None:
    """Frames are drawn in chunks, each with all steps."""
    monitor.on_step(min(next(calls), chunks * steps), chunks * steps)


def _require_plan(session: Session) -> Plan:
    if session.plan is None:
        raise OptionError("There is no sound yet; drop a file, record one or choose an example.")
    return session.plan


def _require_result(session: Session) -> tuple[Plan, Result]:
    if session.result is None or session.edited_plan is None:
        raise OptionError("There is no picture yet; generate one first.")
    return session.edited_plan, session.result
