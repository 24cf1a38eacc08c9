"""Encodes a data set once with the frozen VAE and audio encoder, and stores the result in shards on disk.

A prepared folder holds `manifest.json`, `shard-00000.safetensors`, ... and `skipped.csv`. Shard s holds the good
examples among s * shard_size, ..., each in `copies` variants: `moments` (rows, copies, 2 * channels, height, width)
and `features` (rows, copies, time, width).
"""

import json
import os
import shutil
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from audiotoken.data.augment import Augment
from audiotoken.data.batches import TEMPLATES
from audiotoken.data.examples import Encoded, RawExamples
from audiotoken.data.manifest import (
    Manifest,
    Report,
    claim_folder,
    describe_model,
    describe_source,
    read_manifest,
    read_shard_notes,
    shard_file,
    summarise,
    tokenize_templates,
    try_read_notes,
)
from audiotoken.data.shards import check_shard, open_shard, write_shard
from audiotoken.denoising import latent_channels, scaling_factor
from audiotoken.errors import DataError
from audiotoken.folder_lock import locking
from audiotoken.writing import format_size

DTYPES = ("float16", "bfloat16", "float32")
MOST = 1_000_000  # examples of a shard, and copies of one
OPEN = 256  # shards at a time; a process may often have no more than 1024 files open


@dataclass(frozen=True)
class SizeEstimate:
    """The disk space that preparing needs, in bytes; known before the work begins."""

    examples: int
    each: int
    left: int  # to be written by this process
    free: int  # on the disk

    def __str__(self) -> str:
        total = format_size(self.each * self.examples)
        return (
            f"{self.examples} examples of {format_size(self.each)} each: {total}, "
            f"{format_size(self.left)} of it to be written now, {format_size(self.free)} free"
        )


def prepare(
    source: Any,
    pipe: Any,
    folder: str | os.PathLike,
    *,
    size: int,
    seconds: float,
    dtype: str = "float16",
    shard_size: int = 128,
    copies: int = 1,
    augment: Augment | None = None,
    seed: int = 0,
    workers: int = 2,
    at_once: int | None = None,
    part: int = 0,
    parts: int = 1,
    templates: Sequence[str] = TEMPLATES,
    on_estimate: Callable[[SizeEstimate], None] | None = None,
    on_item: Callable[[int, int], None] | None = None,
) -> Report:
    """Encode all of `source` into `folder`, or resume; `Prepared(folder)` then returns what `RawExamples` would.

    `size`, `seconds`, `augment`, `seed`, `workers` and `at_once` are those of `RawExamples`; the first
    `copies` variants of each example are stored. Existing shards are kept: a process killed at any moment loses at most
    the work on one shard and leaves no partial file. This process writes every `parts`-th shard, starting at `part`;
    other processes, which may run on other machines that share the folder, write the others. Processes with the same
    part share its shards: each is written by one, and waited for by the others. Broken examples, and
    those without a label, are left out and listed in `skipped.csv` (key, why). `on_estimate(estimate)` is called before
    the work, `on_item(done, all)` after each example of this process.

    A clip for Stable Diffusion 1.x at 512 pixels with 10 s of BEATs (moments 8 x 64 x 64, features 496 x 2304) takes
    2.35 MB in float16 and bfloat16, 4.70 MB in float32: 470 GB for 200,000 clips of VGGSound.

    DataError when the folder was made with other settings, the disk is too small or full, or all examples are broken.
    """
    _check_options(dtype, shard_size, copies, augment, part, parts)
    raw = RawExamples(
        source, pipe, size=size, seconds=seconds, augment=augment, seed=seed, workers=workers, at_once=at_once
    )
    settings = {"size": size, "seconds": float(seconds), "dtype": dtype, "copies": copies, "shard_size": shard_size}
    manifest, folder = _manifest(raw, settings, templates), Path(folder)
    claim_folder(folder, manifest)
    mine = range(part, manifest.shards, parts)
    todo = [shard for shard in mine if try_read_notes(folder, shard, manifest) is None]
    if todo:
        _check_room(raw, folder, manifest, todo, on_estimate)
    done, count = (sum(len(manifest.rows(shard)) for shard in shards) for shards in (set(mine) - set(todo), mine))
    for shard in _claim_shards(folder, todo, manifest):
        for index in _write_one_shard(raw, folder, shard, manifest):
            if on_item is not None:
                on_item(done + index - manifest.rows(shard).start + 1, count)
        done += len(manifest.rows(shard))
    return summarise(folder, manifest)


def _claim_shards(folder: Path, shards: Sequence[int], manifest: Manifest) -> Iterator[int]:
    """Yield each shard that no other process writes, and in the end those whose processes were killed meanwhile."""
    missed: list[int] = []
    for some, wait in ((shards, False), (missed, True)):
        for shard in some:
            with locking(folder, f"claim-{shard:05}", wait) as claimed:
                if not claimed:
                    missed.append(shard)
                elif try_read_notes(folder, shard, manifest) is None:
                    yield shard


class Prepared:
    """The examples that `prepare` wrote, read row by row from memory-mapped shards.

    Broken examples are counted and replaced as in `RawExamples`; `variant` is taken modulo the number of copies.
    Features keep the dtype they were stored in. Opening reads all headers: DataError names shards that are missing,
    truncated or made with other settings; `check()` reads every byte.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self.names, self.scaling_factor = tuple(self.manifest.names), self.manifest.scaling_factor
        self.text_ids = self.manifest.text_ids
        self.skipped: dict[str, str] = {}  # key -> why
        self._places: dict[int, tuple[int, int]] = {}  # index -> shard, row
        wrong = []
        for shard in range(self.manifest.shards):
            try:
                notes = read_shard_notes(self.folder, shard, self.manifest)
            except DataError as error:
                wrong.append(str(error))
                continue
            self.skipped |= notes["skipped"]
            self._places |= {index: (shard, row) for row, index in enumerate(notes["indices"])}
        if wrong:
            more = f" And {len(wrong) - 3} more shards." if len(wrong) > 3 else ""
            raise DataError(f"Cannot use {self.folder}: {' '.join(wrong[:3])}{more}")
        if not self._places:
            raise DataError(f"Cannot use {self.folder}: none of its examples is good, see skipped.csv; prepare others.")
        self._good = sorted(self._places)
        self._open = lru_cache(OPEN)(lambda shard: open_shard(shard_file(self.folder, shard)))

    def __len__(self) -> int:
        return len(self.manifest.keys)

    def load(self, indices: Sequence[int], variant: int = 0) -> Encoded:
        """Read these, on the CPU."""
        places = [self._good[bisect_left(self._good, index) % len(self._good)] for index in indices]
        copy = variant % self.manifest.settings["copies"]
        moments, features = (
            torch.stack([self._read(name, i, copy) for i in places]) for name in ("moments", "features")
        )
        return Encoded(moments.float(), features, torch.tensor([self.manifest.labels[i] for i in places]))

    def check_fits(self, pipe: Any) -> None:
        """DataError unless the pipeline has the kind of VAE and audio encoder that the examples were prepared with."""
        settings, rows = self.manifest.settings, self.load([0])
        for name, part in (("vae", pipe.vae), ("audio_encoder", pipe.audio_encoder)):
            if part is not None and settings[name].split()[0] != type(part).__name__:
                raise self._mismatch(f"with {name}={settings[name]}", f"a {type(part).__name__}")
        have, want = self.scaling_factor, scaling_factor(pipe.vae)
        if have != want:
            raise self._mismatch(f"for latents times {have}", f"them times {want}")
        have, want = rows.moments.shape[1] // 2, latent_channels(pipe.vae)
        if have != want:
            raise self._mismatch(f"for {have} latent channels", f"{want}")

    def _mismatch(self, was: str, expects: str) -> DataError:
        return DataError(
            f"{self.folder} was prepared {was}, but this model expects {expects}; prepare it for this model."
        )

    def check(self) -> dict[str, str]:
        """Read every byte and return the damage by name of the shard; empty when all shards are as written."""
        files = [shard_file(self.folder, shard) for shard in range(self.manifest.shards)]
        return {file.name: wrong for file in files if (wrong := check_shard(file)) is not None}

    def _read(self, name: str, index: int, copy: int) -> Tensor:
        shard, row = self._places[index]
        try:
            return self._open(shard).get_slice(name)[row, copy]
        except (OSError, SafetensorError, IndexError) as error:
            raise DataError(f"Cannot read {shard_file(self.folder, shard)}: {error}; prepare the data again.") from None


def _manifest(raw: RawExamples, settings: dict[str, Any], templates: Sequence[str]) -> Manifest:
    augment = None if raw.augment is None else {**asdict(raw.augment), "seed": raw.seed}
    settings = settings | {
        "augment": json.loads(json.dumps(augment)),  # tuples become lists
        "vae": describe_model(raw.pipe.vae),
        "audio_encoder": describe_model(raw.pipe.audio_encoder),
        "source": describe_source(raw.source),
    }
    keys = [raw.source.key(i) for i in range(len(raw))]
    return Manifest(settings, raw.names, keys, raw.labels, raw.scaling_factor, tokenize_templates(raw.pipe, templates))


def _check_room(
    raw: RawExamples,
    folder: Path,
    manifest: Manifest,
    todo: Sequence[int],
    on_estimate: Callable[[SizeEstimate], None] | None,
) -> None:
    """Encode one example to estimate the size of all; DataError when the disk is too small."""
    sample, settings = raw.load([0]), manifest.settings
    numbers = (sample.moments.numel() + sample.features.numel()) * settings["copies"]
    each = numbers * getattr(torch, settings["dtype"]).itemsize
    left = each * sum(len(manifest.rows(shard)) for shard in todo)
    estimate = SizeEstimate(len(raw), each, left, shutil.disk_usage(folder).free)
    if on_estimate is not None:
        on_estimate(estimate)
    if estimate.left > estimate.free:
        raise DataError(
            f"Cannot prepare in {folder}: {estimate}; make room, or choose another folder or smaller examples."
        )


def _write_one_shard(raw: RawExamples, folder: Path, shard: int, manifest: Manifest) -> Iterator[int]:
    """Write one shard; yields the index of each example when it is done, the last one when the file is written."""
    settings, indices, file = manifest.settings, manifest.rows(shard), shard_file(folder, shard)
    dtype, good = getattr(torch, settings["dtype"]), {}
    for left in folder.glob(f".{file.stem}.*"):  # of a process that was killed while writing
        left.unlink(missing_ok=True)
    for index, *parts in raw.each(indices, range(settings["copies"])):
        good[index] = [part.to(dtype).cpu() for part in parts]
        if not all(part.isfinite().all() for part in good[index]):
            raw.skip(index, f"its values do not fit {settings['dtype']}; prepare in bfloat16 or float32.")
            del good[index]
        if index != indices[-1]:
            yield index
    moments, features = ([pair[i] for pair in good.values()] for i in range(2))
    tensors = {"moments": moments, "features": features}
    keys = [manifest.keys[index] for index in indices if index not in good]
    write_shard(
        file,
        {name: torch.stack(rows) if rows else torch.empty(0, dtype=dtype) for name, rows in tensors.items()},
        {
            "fingerprint": manifest.fingerprint,
            "indices": list(good),
            "skipped": {key: raw.skipped[key] for key in keys},
        },
    )
    yield indices[-1]


def _check_options(dtype: str, shard_size: int, copies: int, augment: Augment | None, part: int, parts: int) -> None:
    if dtype not in DTYPES:
        raise DataError(f"Got dtype={dtype}, expected one of {', '.join(DTYPES)}; change it.")
    if not (1 <= shard_size <= MOST and 1 <= copies <= MOST):
        raise DataError(f"Got shard_size={shard_size} and copies={copies}, expected 1 to {MOST} of each; change it.")
    if copies > 1 and augment is None:
        raise DataError(f"Got copies={copies} without augmentation, so all would be the same; say what may vary.")
    if not 0 <= part < parts:
        raise DataError(f"Got part={part} of parts={parts}, expected a part from 0 to {parts - 1}; change it.")
