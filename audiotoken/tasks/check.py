"""`audiotoken check`: is what is seen in a picture or film where it is heard in the recording?

Conventions: as in `audiotoken.evaluation.consistency`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audiotoken import evaluation, tasks
from audiotoken.audio_file import open_plain
from audiotoken.data.folders import list_files
from audiotoken.data.image_file import read_image
from audiotoken.data.video_file import read_frame
from audiotoken.errors import AudioTokenError, DataError, OptionError, printable
from audiotoken.manifest import file_names, find_file
from audiotoken.stereo.options import PlanOptions
from spatial.camera import Camera
from spatial.errors import SpatialError

if TYPE_CHECKING:
    from PIL.Image import Image

    from audiotoken.evaluation.consistency import Check, Frame, Heard, Summary
    from audiotoken.evaluation.seeing import See
    from audiotoken.tasks.layout import NamedScene

VIDEOS = (".mp4", ".mkv", ".webm", ".mov")
FRAMES = 8  # looked at in a film, evenly spread

OnProgress = Callable[[float, int], None]


@dataclass(frozen=True)
class Pair:
    """A picture or film, and the recording that it belongs to."""

    name: str
    picture: Path
    clip: Path


@dataclass(frozen=True, eq=False)
class Checked:
    """All pairs that could be read, in their order, and what came of them."""

    pairs: tuple[Pair, ...]
    checks: "tuple[Check, ...]"
    summary: "Summary"
    shuffled: "Summary | None"  # each picture with another one's recording; None for one pair
    notes: tuple[str, ...]
    fov: float  # degrees across the pictures
    broken: tuple[str, ...]  # a sentence for each pair that could not be read


def find_pairs(picture: Path, clip: Path | None) -> tuple[list[Pair], list[str]]:
    """(the pairs of a picture and a clip, of a film alone, or of folders in which they have the same names; notes).

    The notes are about files of folders that are in no pair.

    In a folder, or two, each sound belongs to the picture or film of its name; in one folder, other films have their
    own sound. OptionError if there is no pair, or for one picture without a clip.
    """
    if picture.is_dir():
        return _find_in_folders(picture, clip or picture)
    if clip is None and picture.suffix.lower() not in VIDEOS:
        raise OptionError(
            f"Got the picture {picture} alone, expected its recording too; give the clip after it, or a film."
        )
    if clip is not None and clip.is_dir():
        raise OptionError(f"Got the file {picture} with the folder {clip}, expected two files or two folders; fix one.")
    return [Pair(picture.name, picture, clip or picture)], []


def _find_in_folders(pictures: Path, clips: Path) -> tuple[list[Pair], list[str]]:
    if not clips.is_dir():
        raise OptionError(f"Got the folder {pictures} with {clips}, expected a folder of clips; give one.")
    pairs = []
    for name in (names := file_names(clips)):
        path = clips / name
        if path.suffix.lower() in VIDEOS and clips == pictures:
            pairs.append(Pair(name, path, path))
            continue
        stem = (pictures / name).with_suffix("")
        found = find_file(stem, (*evaluation.clips.PICTURES, *VIDEOS))
        pairs += [Pair(name, found, path)] if found is not None else []
    taken = {pair.picture for pair in pairs if pair.clip != pair.picture}  # a film that has a clip beside it
    pairs = [pair for pair in pairs if pair.clip != pair.picture or pair.picture not in taken]
    if not pairs:
        raise OptionError(
            f"There is no pair in {pictures}, expected films, or pictures named like the clips in {clips}; add some."
        )
    paired = {path for pair in pairs for path in (pair.picture, pair.clip)}
    seen = [path for path in list_files(pictures, (*evaluation.clips.PICTURES, *VIDEOS)) if path not in paired]
    heard = [path for name in names if (path := clips / name) not in paired]
    return pairs, [*_describe_rest(seen, "picture", "clip"), *_describe_rest(heard, "clip", "picture")]


def _describe_rest(files: list[Path], kind: str, lacking: str) -> list[str]:
    """A note about the files that are in no pair, if there are any."""
    if not files:
        return []
    plural = "s" if len(files) > 1 else ""
    return [f"Passed over {len(files)} {kind}{plural} without a {lacking}, the first {printable(files[0].name)}."]


def check_pairs(
    pairs: Sequence[Pair],
    options: PlanOptions,
    *,
    words: Sequence[str] = (),
    notes: Sequence[str] = (),
    detector: str = "mini",
    model: str = "mini",
    device: str | None = None,
    frames: int = FRAMES,
    on_progress: OnProgress | None = None,
) -> Checked:
    """Hear each recording, see each picture, and compare; of several pairs those that cannot be read are skipped.

    The sounds are named by `words`, from left to right, or by the audio encoder of the `model`; the `detector`, "mini"
    or one that is asked in words, looks for these names. Of films, `frames` pictures are looked at. notes: about the
    pairs, as `find_pairs` gives them; they come first among the notes of the result.
    """
    report_progress = on_progress or (lambda done, total: None)
    namer = tasks.layout.SoundNamer(options, words, model)
    camera, see = Camera(options.fov), evaluation.seeing.load_see(detector, device or "cpu")
    good: list[Pair] = []
    heard: list[list[Heard]] = []
    said, broken = list(notes), list[str]()
    for number, pair in enumerate(pairs):
        report_progress(number, 2 * len(pairs))
        try:
            named = namer.name_sounds(pair.clip)
            sounds = _list_heard(named)
            evaluation.seeing.check_words(detector, [each.word for each in sounds])
            read_frames(pair.picture, 1)
        except (AudioTokenError, SpatialError) as error:
            if len(pairs) == 1:
                raise
            broken.append(f"Skipped {pair.name}: {error}")
            continue
        heard.append(sounds)
        good.append(pair)
        said += [f"{pair.name}: {note}" if len(pairs) > 1 else note for note in named.notes]
    if not good:
        raise DataError(f"None of the {len(pairs)} pairs could be read, the first because: {broken[0]}")
    checks, shuffled = _look(
        good, heard, see, camera, frames, lambda n: report_progress(len(pairs) + n, 2 * len(pairs))
    )
    summarize = evaluation.consistency.summarize
    control = summarize(shuffled) if len(good) > 1 else None
    return Checked(tuple(good), tuple(checks), summarize(checks), control, tuple(said), options.fov, tuple(broken))


def _look(
    pairs: Sequence[Pair],
    heard: "Sequence[Sequence[Heard]]",
    see: "See",
    camera: Camera,
    frames: int,
    report_progress: Callable[[int], None],
) -> "tuple[list[Check], list[Check]]":
    """(each picture against its recording, each against the next one's)."""
    checks, shuffled = [], []
    for number, pair in enumerate(pairs):
        report_progress(number)
        other = heard[(number + 1) % len(pairs)]
        asked = list(dict.fromkeys(each.word for each in (*heard[number], *other)))
        seen = _see_frames(see, read_frames(pair.picture, frames), asked)
        checks.append(evaluation.consistency.check_picture(heard[number], seen, camera))
        shuffled.append(evaluation.consistency.check_picture(other, seen, camera))
    return checks, shuffled


def _list_heard(named: "NamedScene") -> "list[Heard]":
    """The sounds that have a name and a direction."""
    kinds = evaluation.consistency
    return [
        kinds.Heard(str(named.names[i]), named.scene.sources[i], box)
        for i, box in named.boxes.items()
        if named.names[i]
    ]


def _see_frames(see: "See", frames: "Sequence[tuple[float | None, Image]]", words: Sequence[str]) -> "list[Frame]":
    detections = see([image for _, image in frames], [words] * len(frames))
    kind = evaluation.consistency.Frame
    return [kind(seconds, tuple(each)) for (seconds, _), each in zip(frames, detections, strict=True)]


def read_frames(path: Path, count: int) -> "list[tuple[float | None, Image]]":
    """(seconds, picture) of a film, evenly spread, or one picture without a time."""
    if path.suffix.lower() not in VIDEOS:
        return [(None, read_image(path))]
    frames: list[tuple[float | None, Image]] = []
    try:
        with open_plain(path) as file:
            for number in range(count):
                times: list[float] = []

                def choose(
                    length: float, rate: float, share: float = (number + 0.5) / count, times: list[float] = times
                ) -> float:
                    times.append(share * length)
                    return times[0]

                image = read_frame(file, choose)
                frames.append((times[0], image))
    except (AudioTokenError, OSError) as error:
        raise DataError(f"Cannot read {path}: {error}") from None
    return frames
