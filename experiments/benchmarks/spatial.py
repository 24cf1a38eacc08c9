"""Who is where, side by side: our listener and the public methods on a folder of scenes with ground truth.

    python -m experiments.bench spatial scenes=SCENES out=runs/bench-spatial
    python -m experiments.bench spatial scenes=SCENES 'only="^(panned|xy)"' limit=2 systems=[listen,histogram]

Ours is told nothing; `listen-setup` the setup and its spacing, as all public methods are. Each is asked twice: how many
there are found out, and told. In `out`: for each system and question a file of predictions (those of earlier runs stay,
and stand in the table too), the separated signals, table.md, rows.csv and chart.png.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiotoken.errors import OptionError
from audiotoken.mini.things import WORD_OF_ESC10
from audiotoken.stereo.naming import make_labeller
from audiotoken.writing import cannot_write, write_bytes
from experiments.benchmarks.public_methods import SEPARATORS, find, separate, track
from experiments.benchmarks.spatial_report import write_report
from experiments.benchmarks.spatial_score import OURS, SYSTEMS, THEIRS, TOLD, read
from spatial.listening import listen
from spatial.setups import Setup, make_setup

NAMES = {theirs: ours for ours, theirs in THEIRS.items()}
Answer = tuple[dict[str, Any], list[np.ndarray]]  # an entry of the predictions, and the signal of each source


def bench_spatial(
    *,
    scenes: str,
    systems: Sequence[str] = SYSTEMS,
    only: str = "",
    limit: int | None = None,
    labels: bool = True,
    stems: bool = True,
    out: str = "runs/bench-spatial",
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Ask `systems`, some of `SYSTEMS`, about the scenes, write all into `out` -> the Markdown table.

    `only`: a regular expression on the names of scenes; `limit`: so many of each condition. `labels`: ours also says
    what each source is, by the mini encoder. `stems`: write the signals, without which SI-SDR is not scored.
    OptionError for what cannot be done.
    """
    folder, found = Path(out), scene_names(Path(scenes), only, limit)
    if unknown := [name for name in systems if name not in SYSTEMS]:
        raise OptionError(f"Got systems={','.join(unknown)}, want some of {', '.join(SYSTEMS)}; change it.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    asked = {name: ask for system in systems for name, ask in questions(system, labels)}
    told: dict[str, dict[str, Any]] = {name: {} for name in asked}
    try:
        for number, scene in enumerate(found, 1):  # side by side: what else the machine does falls on all of them
            recording, rate, truth = load_scene(Path(scenes) / scene)
            for name, ask in asked.items():
                if name.removesuffix(TOLD) in SEPARATORS and (truth["moving"] or truth["n_sources"] < 2):
                    continue
                entry, signals = timed(ask, recording, rate, truth)
                if stems and not truth["moving"] and truth["n_sources"] > 1:
                    write_stems(entry, signals, rate, folder, f"stems/{name}/{scene}")
                told[name][scene] = entry
            if on_row:
                on_row(f"{number}/{len(found)}  {scene}")
    finally:  # what was answered is kept, however it ends
        for name, entries in told.items():
            write_predictions(name, entries, folder)
    return write_report(Path(scenes), folder)


def write_predictions(name: str, entries: dict[str, Any], folder: Path) -> None:
    """A file of predictions, with what the system was told."""
    given = ["setup"] * (not name.startswith("listen") or "setup" in name) + ["count"] * name.endswith(TOLD)
    said = {"system": name, "given": given, "scenes": entries}
    write_bytes(json.dumps(said, indent=1).encode(), folder / f"{name}.json")


def scene_names(scenes: Path, only: str = "", limit: int | None = None) -> list[str]:
    """Those of index.json that match, the first `limit` of each condition."""
    try:
        index = json.loads((scenes / "index.json").read_text())
    except (OSError, ValueError):
        raise OptionError(f"Cannot find scenes in {scenes}: there is no index.json; give a folder of scenes.") from None
    found: dict[str, list[str]] = {}
    for name in index:
        if re.search(only, name):
            found.setdefault(name.rsplit("/", 1)[0], []).append(name)
    names = [name for condition in found.values() for name in condition[:limit]]
    if not names:
        raise OptionError(f"Got only={only!r}, which fits none of {len(index)} scenes in {scenes}; change it.")
    return names


def load_scene(folder: Path) -> tuple[np.ndarray, int, dict[str, Any]]:
    """((2, frames) float32, rate, what is true of it)."""
    truth = json.loads((folder / "truth.json").read_text())
    return read(folder / truth["mix"]).astype(np.float32), int(truth["fs"]), truth


Ask = Callable[[np.ndarray, int, dict[str, Any]], Answer]


def questions(system: str, labels: bool) -> Iterator[tuple[str, Ask]]:
    """(name, what to ask) of a system: the number of sources found out, and told."""
    if system not in SEPARATORS:
        yield system, asker(system, labels, told=False)
    yield system + TOLD, asker(system, labels=False, told=True)


def asker(system: str, labels: bool, told: bool) -> Ask:
    if system in OURS:
        return _ours(system == "listen-setup", _names() if labels else None, told)
    if system in SEPARATORS:
        return lambda recording, rate, truth: _separator(system, recording, rate, truth)
    return lambda recording, rate, truth: _finder(system, recording, rate, truth, told)


def timed(ask: Ask, recording: np.ndarray, rate: int, truth: dict[str, Any]) -> Answer:
    start = time.perf_counter()
    entry, signals = ask(recording, rate, truth)
    return entry | {"wall_s": round(time.perf_counter() - start, 4)}, signals


def _ours(setup_told: bool, name: Callable[[np.ndarray, int], str | None] | None, told: bool) -> Ask:
    def ask(recording: np.ndarray, rate: int, truth: dict[str, Any]) -> Answer:
        count = truth["n_sources"] if told else None
        scene = listen(recording, rate, setup=setup_of(truth) if setup_told else "auto", count=count)
        entry: dict[str, Any] = {"setup": THEIRS.get(scene.setup, scene.setup), "sources": []}
        for source in scene.sources:
            one: dict[str, Any] = {"azimuth_deg": source.direction.azimuth}
            one |= {"track": [list(point) for point in source.path]} if source.path else {}
            label = name(source.signal, rate) if name else None
            entry["sources"].append(one | ({"label": label} if label else {}))
        return entry, [source.signal if source.image is None else source.image for source in scene.sources]

    return ask


def _names() -> Callable[[np.ndarray, int], str | None]:
    """What a signal sounds like, of the ten that the scenes are made of: they have no other labels."""
    theirs = {word: label for label, word in WORD_OF_ESC10.items()}
    name = make_labeller("mini", tuple(theirs))

    def label(signal: np.ndarray, rate: int) -> str | None:
        found = name(signal, rate)
        return theirs[found.name] if found else None

    return label


def _finder(method: str, recording: np.ndarray, rate: int, truth: dict[str, Any], told: bool) -> Answer:
    setup, count = setup_of(truth), truth["n_sources"] if told else None
    if truth["moving"] and told and method == "histogram":
        paths = track(recording, rate, setup, truth["n_sources"])
        sources = [{"azimuth_deg": float(np.mean([a for _, a in path])), "track": path} for path in paths]
    else:
        sources = [{"azimuth_deg": azimuth} for azimuth in find(method, recording, rate, setup, count=count)]
    return {"sources": sources}, []


def _separator(method: str, recording: np.ndarray, rate: int, truth: dict[str, Any]) -> Answer:
    signals = separate(method, recording, rate, truth["n_sources"])
    return {"sources": [{"azimuth_deg": 0.0} for _ in signals]}, list(signals)  # it says what, not where


def setup_of(truth: dict[str, Any]) -> Setup:
    """The one that the scene was recorded with."""
    name = NAMES.get(truth["setup"], truth["setup"])
    spacing = (truth.get("geometry") or {}).get("spacing_m") if name == "spaced" else None
    return make_setup(name, spacing=spacing)


def write_stems(entry: dict[str, Any], signals: Sequence[np.ndarray], rate: int, folder: Path, place: str) -> None:
    """WAV files named in the entry; scaled to full scale, which SI-SDR does not hear."""
    import soundfile

    (folder / place).mkdir(parents=True, exist_ok=True)
    for number, (one, signal) in enumerate(zip(entry["sources"], signals, strict=False)):
        peak = float(np.abs(signal).max(initial=0))
        if peak < 1e-6:
            continue
        one["stem"] = f"{place}/{number}.wav"
        soundfile.write(folder / one["stem"], 0.9 * np.asarray(signal).T / peak, rate, subtype="PCM_16")
