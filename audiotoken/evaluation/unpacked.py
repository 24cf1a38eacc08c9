"""Clips in tar shards, or videos of VGGSound: those to evaluate are unpacked into folders, sounds and real pictures.

Those that are stereo are counted: only they say where a sound comes from.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiotoken.data.folders import Source
from audiotoken.data.remote import names_shards
from audiotoken.data.vggsound import VGGSound, read_rows
from audiotoken.data.web_shards import WebShards
from audiotoken.errors import AudioError, DataError, OptionError
from audiotoken.evaluation.clips import select_evenly
from audiotoken.writing import cannot_write, write_bytes, write_image
from spatial.listening import detect_mono

MARK = ".unpacked"  # in a folder that may be made anew
MONO, SAME, STEREO = "mono", "same in both channels", "stereo"


def open_source(
    clips: str | os.PathLike, table: str | os.PathLike | None, split: str | None = "test"
) -> tuple[Source, Mapping[str, str]] | None:
    """(the source, labels by key where the source has none) of shards, or of videos with VGGSound's table; else None.

    Shards are a .tar file, a pattern of them, an address, or a folder that holds some. DataError if they cannot be
    read.
    """
    name, folder = os.fspath(clips), Path(clips)
    sharded = names_shards(name) or (folder.is_dir() and any(folder.glob("*.tar")))
    if sharded:
        labels = {} if table is None else {row.key: row.label for row in read_rows(table)}
        return WebShards(clips), labels
    return None if table is None else (VGGSound(table, folder, split=split), {})


def unpack(
    source: Source,
    labels: Mapping[str, str],
    folder: Path,
    n: int | None = None,
    on_row: Callable[[str], None] = lambda text: None,
) -> dict[str, int]:
    """Write at most `n` clips, evenly from all labels, as LABEL/KEY.wav and .png; returns how many are stereo.

    What an earlier call left in the folder is removed. Clips that cannot be read are left out, and named by `on_row`.
    OptionError if a clip has no label, or if the folder is there and none of these.
    """
    rows = []
    for i in range(len(source)):
        key = source.key(i)
        label = source.label(i) or find_label(key, labels)
        if not label:
            raise OptionError(f"The clip {key} has no label; pass table=FILE, rows of ID, start, label, split.")
        rows.append((key, i, label))
    _make_empty(folder)
    kinds: Counter[str] = Counter()
    for key, i, label in sorted(select_evenly(rows, n), key=lambda row: row[1]):  # shards are read in order
        try:
            example = source[i]
        except (AudioError, DataError) as error:
            on_row(f"left out: {error}")
            continue
        kinds[describe_channels(example.recording)] += 1
        stem = folder / _name_folder(label) / key
        try:
            stem.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(stem.parent, error) from None
        file = BytesIO()
        soundfile.write(file, example.recording.T, example.rate, format="WAV", subtype="PCM_16")
        write_bytes(file.getvalue(), stem.with_name(f"{stem.name}.wav"))
        write_image(example.image, stem.with_name(f"{stem.name}.png"))
    return {kind: kinds[kind] for kind in (STEREO, SAME, MONO)}


def _make_empty(folder: Path) -> None:
    """Make the folder anew; OptionError if there is one that `unpack` did not make."""
    if folder.exists() and not (folder / MARK).is_file():
        raise OptionError(f"{folder} is there already and may be yours; give another folder with out.")
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        (folder / MARK).touch()
    except OSError as error:
        raise cannot_write(folder, error) from None


def _name_folder(label: str) -> str:
    """The label as a name that stays inside its folder, whatever an archive calls a sound."""
    return re.sub(r"[/\x00]", "-", label).strip(". ") or "-"


def find_label(key: str, labels: Mapping[str, str]) -> str:
    """The label of a clip of VGGSound by its key, which may have folders before it and a checksum behind; or ""."""
    found = re.search(r"([\w-]{11}_\d{6})(-[0-9a-f]{8}_*)?$", key)
    return labels.get(key) or labels.get(found[1] if found else "", "")


def describe_channels(recording: NDArray[np.float32]) -> str:
    """`STEREO` if the two channels differ; `SAME` also if one is silent or inverted; `MONO` for one channel."""
    if len(recording) < 2:
        return MONO
    return STEREO if detect_mono(recording[:2]) is None else SAME


def format_channels(kinds: Mapping[str, int]) -> str:
    """ "5 of 8 clips are stereo (63 %), 2 same in both channels, 1 mono"."""
    total = sum(kinds.values())
    share = f"{100 * kinds[STEREO] / max(total, 1):.0f} %"
    return f"{kinds[STEREO]} of {total} clips are stereo ({share}), {kinds[SAME]} {SAME}, {kinds[MONO]} {MONO}"
