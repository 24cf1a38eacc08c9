"""What the buttons of the clip do, without Gradio: hear, match again, paint, compare, film."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

from audiotoken.errors import OptionError
from audiotoken.options import check_options
from audiotoken.page import edits
from audiotoken.page.painting import Step, Stopped, Watch, watched
from audiotoken.page.session import Session
from audiotoken.page.uploads import read_upload
from audiotoken.stereo.animation import film
from audiotoken.stereo.generation import Result, draw
from audiotoken.stereo.planning import Plan, plan

FRAMES = 12  # of a film


def hear(session: Session, pipe: Any, path: str, *, setup: str = "auto", max_sources: int = 4) -> Plan:
    """Listen to a file; the session holds what was heard. AudioError or SpatialError; Stopped when it was cancelled."""

    def told(share: float) -> None:
        if session.stop.is_set():
            raise Stopped

    session.forget()
    recording, rate, cut = read_upload(path)
    told(0.0)
    heard = plan(recording, rate, pipe, setup=setup, max_sources=int(max_sources), progress=told)
    told(1.0)
    heard = replace(heard, scene=replace(heard.scene, notes=(*cut, *heard.scene.notes)), notes=[*cut, *heard.notes])
    session.plan, session.places = heard, edits.places_of(heard)
    return heard


def match_again(session: Session, pipe: Any, prompt: str) -> Plan:
    """Of another prompt; choices of words by hand begin anew, places stay."""
    heard = _heard(session)
    session.plan, session.prompt = edits.reread(heard, pipe, prompt), prompt
    session.places = [replace(place, word=edits.AUTO) for place in session.places]
    return session.plan


def paint(session: Session, pipe: Any, prompt: str, asked: Mapping[str, Any]) -> Iterator[Step | Result]:
    """Steps with previews, then the result, which the session keeps.

    asked: negative_prompt, seed, num_inference_steps, guidance_scale, energy, fov and token, as `stereo.plan` and
    `draw` have them.
    """
    numbers = {"seed": asked["seed"], "steps": asked["num_inference_steps"], "guidance": asked["guidance_scale"]}
    check_options(dtype="float32", token=asked["token"], **numbers)
    if prompt != session.prompt:
        match_again(session, pipe, prompt)
    drawn = edits.edited(_heard(session), pipe, session.places, prompt=prompt, fov=asked["fov"], token=asked["token"])
    session.clear_result()
    session.drawn = drawn
    sampling = {
        key: asked[key] for key in ("negative_prompt", "seed", "num_inference_steps", "guidance_scale", "energy")
    }

    def work(watch: Watch) -> Result:
        steps = sampling["num_inference_steps"] or pipe.config.get("default_steps", 50)
        return draw(drawn, pipe, on_latents=watch.latents(steps), keep_maps=True, **sampling)

    for said in watched(work, session.stop, pipe):
        if isinstance(said, Step):
            session.painting += [said.preview] if said.preview is not None else []
        else:
            session.result = said
            session.painting.append(said.images[0])
        yield said


def compare(session: Session, pipe: Any, asked: Mapping[str, Any]) -> Iterator[Step | Result]:
    """The same words and the same noise, nothing moved."""
    drawn, painted = _painted(session)
    sampling = {key: asked[key] for key in ("negative_prompt", "num_inference_steps", "guidance_scale")}

    def work(watch: Watch) -> Result:
        steps = sampling["num_inference_steps"] or pipe.config.get("default_steps", 50)
        return draw(drawn, pipe, on_latents=watch.latents(steps), seed=painted.seed, energy="none", **sampling)

    for said in watched(work, session.stop, pipe):
        if not isinstance(said, Step):
            session.plain = said.images[0]
        yield said


def animate(session: Session, pipe: Any, asked: Mapping[str, Any]) -> Iterator[Step | Result]:
    """What moves, as a film with the words and the noise of the last picture."""
    drawn, painted = _painted(session)
    sampling = {
        key: asked[key] for key in ("negative_prompt", "num_inference_steps", "guidance_scale", "energy", "fov")
    }
    steps = sampling["num_inference_steps"] or pipe.config.get("default_steps", 50)

    def work(watch: Watch) -> Result:
        calls = count(1)
        told = partial(_counted, watch, calls, steps)
        return film(drawn, pipe, frames=FRAMES, seed=painted.seed, on_step=told, **sampling)

    yield from watched(work, session.stop, pipe)


def _counted(watch: Watch, calls: Iterator[int], steps: int, chunk: int, chunks: int) -> None:
    """Of a film frames are drawn in chunks, each in all steps."""
    watch.step(min(next(calls), chunks * steps), chunks * steps)


def _heard(session: Session) -> Plan:
    if session.plan is None:
        raise OptionError("There is no sound yet; drop a file, record one or choose an example.")
    return session.plan


def _painted(session: Session) -> tuple[Plan, Result]:
    if session.result is None or session.drawn is None:
        raise OptionError("There is no picture yet; paint one first.")
    return session.drawn, session.result
