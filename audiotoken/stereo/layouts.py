"""From a scene with names to a layout: boxes by the camera, paths of what moves, a caption. No torch is needed."""

import re
from collections.abc import Collection, Mapping, Sequence

from audiotoken.errors import OptionError
from audiotoken.stereo.captions import add_article, write_caption
from guidance.boxes import Box
from guidance.layout import CANVAS, Entry, Layout, Path
from spatial.camera import Camera
from spatial.scene import MAX_SOURCES, Scene, Source
from spatial.shapes import find_shape

WIDE = 20.0  # degrees of spread from which a sound is everywhere; a localised source stays below 9
STEPS = 24  # most points of a path
COMMAS = r"[,;，；、،]"  # between words, also as other scripts and spreadsheets have them
QUOTES = "\"'“”„‘’«»"  # around a word, as lists in programs have them


def parse_words(text: str | None, most: int = MAX_SOURCES) -> list[str]:
    """ "frog, bell" or "狗，钟" -> two words, none of None; OptionError for an empty word or more than `most`."""
    words = [] if text is None else [" ".join(word.strip().strip(QUOTES).split()) for word in re.split(COMMAS, text)]
    if not all(words) or len(words) > most:
        raise OptionError(f"Got the words {text!r}, expected 1 to {most} names with commas between; change them.")
    return words


def check_word_count(words: Sequence[str], sounds: int, look: str) -> None:
    """OptionError unless there is one word for each sound; `look` says how to find out how many there are."""
    if len(words) != sounds:
        given, found = (
            f"{count} {what}{'s' * (count != 1)}" for count, what in ((len(words), "word"), (sounds, "sound"))
        )
        raise OptionError(
            f"Got {given} for {found} that {'was' if sounds == 1 else 'were'} found, expected one each; {look}."
        )


def is_everywhere(source: Source) -> bool:
    """Whether a sound comes from all around, so that it has no place in a picture."""
    return source.direction.spread > WIDE


def note_ambient(scene: Scene, names: Sequence[str | None]) -> list[str]:
    """A sentence about each named source that comes from all around; none about a mono scene."""
    return [
        f"The {name} comes from everywhere, so it has no box."
        for source, name in zip(scene.sources, names, strict=True)
        if name and scene.setup != "mono" and is_everywhere(source)
    ]


def place_boxes(
    scene: Scene, wanted: Collection[int], names: Sequence[str | None], fov: float = 90.0
) -> dict[int, Box]:
    """The boxes of the `wanted` sources that have a direction, by the number of the source; none in a mono scene.

    names: of all sources; a box has the usual shape of what its name says (`spatial.shapes`).
    """
    placed = [i for i in sorted(wanted) if scene.setup != "mono" and not is_everywhere(scene.sources[i])]
    shapes = [find_shape(names[i]) for i in placed]
    boxes = Camera(fov).boxes([scene.sources[i] for i in placed], shapes=shapes)
    return dict(zip(placed, boxes, strict=True))


def make_layout(
    scene: Scene,
    words: Sequence[str | None],
    boxes: Mapping[int, Box],
    *,
    canvas: tuple[int, int] = CANVAS,
    fov: float = 90.0,
    caption: str | None = None,
    setting: str = "",
) -> Layout:
    """The layout of a scene whose sources have names; those named None are left out.

    boxes: of `place_boxes`, by the number of the source; named sources without a box are in the caption only. fov: as
    the boxes were made with, for the paths. caption: None writes one, in a `setting` such as "in a meadow".
    """
    named = {i: word for i, word in enumerate(words) if word}
    paths = trace_paths(scene, {i: named[i] for i in boxes if i in named}, fov)
    entries = [Entry(named[i], boxes[i], add_article(named[i]), paths.get(i, ())) for i in boxes if i in named]
    others = [word for i, word in named.items() if i not in boxes]
    text = write_caption(entries, others, setting) if caption is None else caption
    return Layout(text, tuple(entries), canvas)


def trace_paths(scene: Scene, placed: Mapping[int, str], fov: float = 90.0) -> dict[int, Path]:
    """(seconds, box) along the way of each source that moves, by its number; boxes do not overlap at any time.

    placed: the names of the sources that have boxes, by number.
    """
    sources, shapes = [scene.sources[i] for i in placed], [find_shape(name) for name in placed.values()]
    paths = {}
    for nth, (i, source) in enumerate(zip(placed, sources, strict=True)):
        stride = -(-len(source.path) // STEPS) or 1
        times = [seconds for seconds, _ in source.path][::stride]
        if source.moves and times[-1] != source.path[-1][0]:
            times.append(source.path[-1][0])
        paths[i] = tuple((seconds, Camera(fov).boxes(sources, seconds, shapes=shapes)[nth]) for seconds in times)
    return {i: path for i, path in paths.items() if path}
