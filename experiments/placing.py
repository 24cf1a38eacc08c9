"""The road from a stereo clip to a picture with everything where it is heard.

listen -> embed each source -> match with the words of the prompt -> regions -> guided sampling -> picture
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from guidance.regions import Region
from spatial.match import Match
from spatial.scene import Scene, Source

THRESHOLD = 0.3  # probability of a label from which a source is what the word says
WIDE = 40.0  # degrees of spread from which a sound is everywhere


@dataclass(frozen=True, eq=False)
class Placed:
    """Everything a reader of one run will ask for."""

    scene: Scene
    subjects: list[str]  # of each source: the nearest word, for titles
    similarity: NDArray[np.float64]  # (sources, words of the prompt); (sources, 0) without a prompt
    matches: list[Match]
    text: str  # the prompt that was drawn
    regions: dict[int, Region]  # by the number of the source; none for what has no place
    images: list[Image]
    seconds: dict[str, float]
    notes: list[str] = field(default_factory=list)  # sentences: what has no place, and why


def place(
    recording: NDArray,
    rate: int,
    parts: Any,
    *,
    prompt: str | None = None,
    unmatched: str = "add",
    token: str | None = None,
    energy: str = "ours",
    fov: float = 90.0,
    seed: int = 0,
    setup: str = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    on_step: Callable[[int], None] | None = None,
    **sampling: Any,
) -> Placed:
    """Listen to a recording (channels, frames) and draw what sounds where it sounds.

    parts: an `AudioTokenPipeline`. prompt: words to draw; those that name what is heard are placed, others stay free;
    `unmatched`: "add" a source that no word names to the prompt, or "drop" it; `<audio>` in the prompt is one of them,
    the loudest first. token: as in `parts.sounds`. energy: one
    of `guidance.METHODS`, or "none". fov: degrees across the picture. `sampling` is that of `guidance.sample`.
    What has no side, such as one channel, is drawn without a place, and the notes say so.
    """
    from guidance import sample

    started = perf_counter()
    scene, heard, subjects, seconds = listened(recording, rate, parts, setup, spacing, max_sources)
    words = named_words(prompt, heard) if prompt else []
    similarity = np.array([[each.get(word.lower(), 0.0) for word in words] for each in heard])
    similarity = similarity.reshape(len(heard), len(words))
    matches = matched(similarity)
    text, read, positions = written(parts, scene.sources, rate, prompt, words, matches, unmatched, token)
    regions, notes = placed(scene, subjects, positions, fov)
    seconds["prompt"] = perf_counter() - started - sum(seconds.values())
    callback = (lambda step, latents: on_step(step)) if on_step else None
    drawn = sample(parts, read, regions=list(regions.values()), energy=energy, seed=seed, callback=callback, **sampling)
    seconds["sample"] = perf_counter() - started - sum(seconds.values())
    said = [*scene.notes, *notes]
    return Placed(scene, subjects, similarity, matches, text, regions, drawn.images, seconds, said)


def animate(
    recording: NDArray,
    rate: int,
    parts: Any,
    *,
    frames: int = 12,
    token: str | None = None,
    fov: float = 90.0,
    seed: int = 0,
    setup: str = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    on_step: Callable[[int, int], None] | None = None,
    **sampling: Any,
) -> Placed:
    """As `place`, one picture a frame: what moves moves, the noise, the words and so the world stay.

    `frames` pictures are spread evenly over the recording; `sampling` is that of `guidance.animate`.
    """
    from guidance import animate as drawn_over_time
    from spatial.camera import Camera

    started = perf_counter()
    scene, _, subjects, seconds = listened(recording, rate, parts, setup, spacing, max_sources)
    text, read, positions = written(parts, scene.sources, rate, None, [], [], "add", token)
    regions, notes = placed(scene, subjects, positions, fov)
    seconds["prompt"] = perf_counter() - started - sum(seconds.values())
    rows = []
    for time in (np.arange(frames) + 0.5) * np.shape(recording)[-1] / rate / frames:
        boxes = Camera(fov).boxes([scene.sources[i] for i in regions], float(time))
        rows.append([replace(region, box=box) for region, box in zip(regions.values(), boxes, strict=True)])
    if not any(source.moves for source in scene.sources):
        notes.append("Nothing was heard to move: all pictures are alike.")
    film = drawn_over_time(parts, read, regions=rows, seed=seed, callback=on_step, **sampling)
    seconds["sample"] = perf_counter() - started - sum(seconds.values())
    nothing = np.zeros((len(subjects), 0))
    return Placed(scene, subjects, nothing, [], text, regions, film.images, seconds, [*scene.notes, *notes])


def listened(
    recording: NDArray, rate: int, parts: Any, setup: str, spacing: float | None, max_sources: int
) -> tuple[Scene, list[dict[str, float]], list[str], dict[str, float]]:
    """(scene, scores of each source by label, the best of them, seconds of the two stages)."""
    from spatial.listen import listen

    started = perf_counter()
    scene = listen(recording, rate, setup=setup, spacing=spacing, max_sources=max_sources)
    between = perf_counter()
    heard = [dict(parts.hear(source.signal, rate)) for source in scene.sources]
    subjects = [max(each, key=lambda name: each[name]) if each else "sound" for each in heard]
    return scene, heard, subjects, {"listen": between - started, "embed": perf_counter() - between}


def named_words(prompt: str, heard: Sequence[dict[str, float]]) -> list[str]:
    """The labels that the prompt names, as they are written and in its order; one named twice stands twice."""
    labels = {name for each in heard for name in each}
    found = [(hit.start(), hit[0]) for name in labels for hit in re.finditer(rf"\b{re.escape(name)}\b", prompt, re.I)]
    return [word for _, word in sorted(found)]


def matched(similarity: NDArray[np.float64]) -> list[Match]:
    """One to one by the Hungarian algorithm; sources and words may stay alone."""
    from spatial.match import match

    return match(similarity, threshold=THRESHOLD) if similarity.size else []


def written(
    parts: Any,
    sources: Sequence[Source],
    rate: int,
    prompt: str | None,
    words: list[str],
    matches: Sequence[Match],
    unmatched: str,
    token: str | None,
) -> tuple[str, Any, dict[int, tuple[int, ...]]]:
    """(text, what the pipeline reads, positions of each source that has any)."""
    named = {pair.source: pair.token for pair in matches if pair.source is not None and pair.token is not None}
    spoken = [] if prompt and unmatched == "drop" else [i for i in range(len(sources)) if i not in named]
    if held := (prompt or "").count("<audio>"):  # places for the loudest are in the text already
        spoken = [i for i in range(len(sources)) if i not in named][:held]
    audio = " and ".join(["<audio>"] * (0 if held else len(spoken)))
    text = f"{prompt} and {audio}" if prompt and audio else prompt or f"a photo of {audio or 'a landscape'}"
    sounds = parts.sounds([sources[i].signal for i in spoken], rate, token) if spoken else None
    read = parts.read(text, sounds)[0]
    positions = dict(zip(spoken, getattr(read, "positions", ()), strict=False))
    for source, word in named.items():
        positions[source] = _of_word(parts, read.text, words, word)
    return text, read, positions


def _of_word(parts: Any, text: str, words: list[str], index: int) -> tuple[int, ...]:
    """Tokens of the word at that place of `words`: of one that stands twice, the one that is meant."""
    from audiotoken.prompt import word_positions

    before = words[:index].count(words[index])
    rest, skipped = text, 0
    for _ in range(before):
        hit = re.search(rf"\b{re.escape(words[index])}\b", rest)
        if hit is None:
            break
        skipped += len(parts.tokenizer.tokenize(rest[: hit.end()]))
        rest = rest[hit.end() :]
    return tuple(at + skipped for at in word_positions(rest, words[index], parts.tokenizer))


def placed(
    scene: Scene, subjects: Sequence[str], positions: dict[int, tuple[int, ...]], fov: float
) -> tuple[dict[int, Region], list[str]]:
    """Regions of the sources that have a side and a word, by their number, and sentences about the others."""
    from spatial.camera import Camera

    notes, sided = [], []
    for i, source in enumerate(scene.sources):
        if scene.setup == "mono" or not positions.get(i):
            continue
        if source.direction.spread > WIDE:
            notes.append(f"The {subjects[i]} comes from everywhere: it is drawn without a place.")
        else:
            sided.append(i)
    boxes = Camera(fov).boxes([scene.sources[i] for i in sided])
    return {i: Region(box, positions[i], subjects[i]) for i, box in zip(sided, boxes, strict=True)}, notes
