"""The clips of a folder, worked through once by one process or by several, and resumed after a stop.

`generate`, `place`, `listen` and `layout` take a folder so. Clips are files, and members of tar shards (WebDataset).
What is made of a clip keeps its sub-folder and name. A line of `made.jsonl` for each clip, with all options, says what
is there, so that the next call makes only what is missing or has changed. The lines are separate, unlike the settings
of `audiotoken.evaluation.pictures`, because a user adds and replaces clips, and the files of the others stay valid.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from audiotoken.audio import MAX_SECONDS, Recording, load_with_notes
from audiotoken.data.shard_clips import Member, list_members, note_compressed, read_beginning
from audiotoken.errors import AudioError, printable
from audiotoken.folder_lock import make_folder
from audiotoken.manifest import Line, append_line, file_names, is_up_to_date, make_line, read_manifest
from audiotoken.tasks.claims import Claims, claiming
from audiotoken.writing import cannot_write, check_inputs_kept

MANIFEST, TABLE, GALLERY = "made.jsonl", "heard.csv", "gallery.png"
MOST_NOTES = 5  # lines of notes in the summary of a folder

Model = TypeVar("Model")
OnProgress = Callable[[float, int], None]  # (clips done, clips to work on)
OnStep = Callable[[float, int], None]  # (steps done, all steps) of a group of clips
OnBroken = Callable[[str], None]


@dataclass(frozen=True)
class FolderResult:
    """What happened to each clip of a folder."""

    output: Path
    made: list[str] = field(default_factory=list)  # clips worked on now
    kept: list[str] = field(default_factory=list)  # clips whose files already existed
    broken: dict[str, str] = field(default_factory=dict)  # clip -> why it was skipped
    notes: dict[str, list[str]] = field(default_factory=dict)  # of the clips worked on now, as for a single clip
    verb: str = field(default="drew", kw_only=True)  # what was done

    def __str__(self) -> str:
        lines = [f"{self.verb:6} {count_clips(self.made)} into {self.output}"]
        lines += [f"kept   {count_clips(self.kept)} from before"] if self.kept else []
        lines += [f"broken {count_clips(self.broken)}, skipped"] if self.broken else []
        lines += [f"heard  {self.output / TABLE}"]
        lines += [f"sheet  {self.output / GALLERY}"] if (self.output / GALLERY).is_file() and self.there else []
        return "\n".join(map(printable, lines))

    def format_notes(self) -> list[str]:
        """Lines with the notes about the clips, those about most clips first; the manifest has them all."""
        clips: dict[str, list[str]] = {}
        for clip, notes in self.notes.items():
            for note in notes:
                clips.setdefault(note, []).append(clip)
        common = sorted(clips.items(), key=lambda each: -len(each[1]))
        lines = [f"note   {names[0] if len(names) == 1 else count_clips(names)}: {note}" for note, names in common]
        more = len(lines) - MOST_NOTES
        return lines if more <= 0 else [*lines[:MOST_NOTES], f"note   {more} more in {self.output / MANIFEST}"]

    @property
    def there(self) -> set[str]:
        """The clips whose files exist now."""
        return {*self.made, *self.kept}


@dataclass(frozen=True, eq=False)
class FoundClip:
    """A clip of a folder, not read."""

    line: Line  # of the manifest, as it is before the work
    sound: Path | Member

    @property
    def name(self) -> str:
        return str(self.line["clip"])


@dataclass(frozen=True, eq=False)
class LoadedClip(FoundClip):
    """A clip of a folder, read."""

    recording: Recording  # (channels, frames)
    rate: int  # Hz
    notes: list[str]  # what a listener should know about the file


Clip = TypeVar("Clip", bound=FoundClip)
# For each clip of a group: write its files, and yield what to add to its line, or why it is skipped.
Make = Callable[[Model, Sequence[Clip], OnStep | None], Iterator[Line | str]]


def one_by_one(
    make: Callable[[Model, Clip, OnStep | None], Line], errors: tuple[type[Exception], ...], verb: str
) -> Make[Model, Clip]:
    """What makes the files of one clip, for `ClipFolder.work` with clips one at a time.

    A clip for which it raises one of the `errors` is skipped: "Cannot `verb` clip.wav: ...".
    """

    def make_group(model: Model, group: Sequence[Clip], on_step: OnStep | None) -> Iterator[Line | str]:
        for clip in group:
            try:
                yield make(model, clip, on_step)
            except errors as error:
                yield f"Cannot {verb} {clip.name}: {error}"

    return make_group


def read_clip(clip: FoundClip, seconds: float | None = None) -> LoadedClip:
    """Read at most that many seconds of a clip; without `seconds` all, up to `MAX_SECONDS`. Raises AudioError."""
    if seconds is not None:
        return LoadedClip(clip.line, clip.sound, *read_beginning(clip.sound, seconds))
    if isinstance(clip.sound, Member):
        return LoadedClip(clip.line, clip.sound, *clip.sound.read())
    return LoadedClip(clip.line, clip.sound, *load_with_notes(clip.sound, max_seconds=MAX_SECONDS))


@dataclass(frozen=True, eq=False)
class ClipFolder:
    """The clips of a folder, the files to be made of each, and which of them are there."""

    clips: Path
    lines: dict[str, Line]  # of each clip: the wanted line of the manifest
    members: Mapping[str, Member]  # clips in shards
    known: int  # bytes of the manifest that were read
    result: FolderResult

    @property
    def pending(self) -> list[Line]:
        """The lines of the clips that are still to be worked on."""
        done = {*self.result.there, *self.result.broken}
        return [line for clip, line in self.lines.items() if clip not in done]

    def work(
        self,
        load: Callable[[], Model],
        make: Make[Model, Clip],
        *,
        read: Callable[[FoundClip], Clip],
        size: int = 1,
        on_progress: OnProgress | None = None,
        on_broken: OnBroken | None = None,
    ) -> None:
        """Make the files of all clips that lack them, `size` clips at once, and add their lines to the manifest.

        load: makes the model, which is needed only if there is work. read: such as `read_clip`; a clip for which it
        raises AudioError is skipped. The result lists what was done; `on_broken(message)` is called for each clip that
        is skipped. What other processes make meanwhile is waited for.
        """
        result, lines = self.result, self.pending
        if on_broken:
            for name, why in result.broken.items():
                on_broken(f"{name}: {why}")
        make_folder(result.output)
        if not lines:
            return
        before, model = len(result.kept) + len(result.broken), None
        with claiming(result.output, result.output / MANIFEST, self.known) as claims:
            for some, at_once, wait in ((lines, size, False), (claims.missed, 1, True)):
                readable = self._read(self._claim(some, claims, wait), read, on_broken)
                while group := list(islice(readable, at_once)):
                    model = model or load()
                    finished = len(result.made) + len(result.broken) + len(result.kept) - before
                    on_step = _count_steps(on_progress, finished, len(group), len(lines))
                    self._make_group(group, make(model, group, on_step), on_broken)
                    claims.release()

    def _claim(self, lines: Iterable[Line], claims: Claims, wait: bool) -> Iterator[Line]:
        """The lines that this process works on. What another process makes meanwhile counts as kept.

        Only a process without claims waits for others, so that no two wait for each other.
        """
        for line in lines:
            if wait:
                claims.release()
            if not claims.take(line["clip"], wait):
                claims.missed.append(line)
            elif is_up_to_date(claims.read_drawn().get(line["clip"]), line, self.result.output):
                self.result.kept.append(line["clip"])
            else:
                yield line

    def _read(
        self, lines: Iterable[Line], read: Callable[[FoundClip], Clip], on_broken: OnBroken | None
    ) -> Iterator[Clip]:
        """Read the clips one by one; list those that cannot be read, and skip them."""
        for line in lines:
            try:
                yield read(FoundClip(line, self.members.get(line["clip"]) or self.clips / line["clip"]))
            except AudioError as error:
                self._skip(line["clip"], str(error), on_broken)

    def _make_group(
        self, group: Sequence[FoundClip], outcomes: Iterator[Line | str], on_broken: OnBroken | None
    ) -> None:
        """Add a line to the manifest for each clip, once its files are written."""
        for clip, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, str):
                self._skip(clip.name, outcome, on_broken)
            else:
                _append_to_manifest(self.result.output / MANIFEST, clip.line | outcome)
                self.result.made.append(clip.name)
                self.result.notes[clip.name] = list(outcome.get("notes", ()))

    def _skip(self, clip: str, why: str, on_broken: OnBroken | None) -> None:
        self.result.broken[clip] = why
        if on_broken:
            on_broken(why)

    def read_lines(self) -> list[Line]:
        """The lines of the clips whose files exist now, in the order of the clips."""
        manifest, there = read_manifest(self.result.output / MANIFEST), self.result.there
        return [manifest[clip] for clip in self.lines if clip in there]


def open_folder(
    clips: str | os.PathLike,
    output: str | os.PathLike,
    options: Line,
    *,
    endings: Sequence[str],
    beside: Sequence[str] = (),
    outputs: Iterable[str | os.PathLike | None] = (),
    inputs: Iterable[str | os.PathLike | None] = (),
    overwrite: bool = False,
    verb: str = "drew",
) -> ClipFolder:
    """Look through a folder of clips; nothing is written yet.

    options: all that the files depend on beside the clip, as JSON has it. endings: of the files of each clip, such as
    (".png",). beside: files of the whole folder that `output` holds as well. outputs, inputs: further files that are
    written and read, for the check that no input is written over. overwrite: make all files again. verb: what is done,
    for the summary. Raises OptionError.
    """
    clips, output = Path(clips), Path(output)
    members, broken = list_members(clips)
    names = file_names(clips, endings, reserved=(MANIFEST, *beside), members=members)
    lines = {
        clip: make_line(clip, *_describe_state(clips / clip, members.get(clip)), files, options)
        for clip, files in names.items()
    }
    manifest = output / MANIFEST
    known = manifest.stat().st_size if manifest.is_file() else 0  # before it is read
    existing = {} if overwrite else read_manifest(manifest)
    kept = [clip for clip, line in lines.items() if is_up_to_date(existing.get(clip), line, output)]
    files = [output / name for name in (MANIFEST, *beside, *(each for some in names.values() for each in some))]
    shards = {member.shard for member in members.values()}
    check_inputs_kept([output, *outputs, *files], [clips, *(clips / name for name in names), *shards, *inputs])
    found = FolderResult(output, [], kept, broken, note_compressed(clips), verb=verb)
    return ClipFolder(clips, lines, members, known, found)


def count_clips(clips: Collection[Any]) -> str:
    return "1 clip" if len(clips) == 1 else f"{len(clips)} clips"


def _describe_state(path: Path, member: Member | None) -> tuple[int, float]:
    """(bytes, when it was changed) of a clip."""
    if member is not None:
        return member.size, member.changed
    state = path.stat()
    return state.st_size, state.st_mtime


def _count_steps(on_progress: OnProgress | None, before: int, clips: int, total: int) -> OnStep | None:
    """After each step, report the number of clips done, counting the current group in part."""
    if on_progress is None:
        return None
    return lambda done, steps: on_progress(before + clips * done / steps, total)


def _append_to_manifest(file: Path, line: Line) -> None:
    try:
        append_line(file, line)
    except OSError as error:
        raise cannot_write(file, error) from None
