"""Localisation and separation: `spatial.listen` and public methods on a folder of scenes with ground truth.

    python -m experiments.bench spatial scenes=SCENES out=runs/bench-spatial
    python -m experiments.bench spatial scenes=SCENES 'only="^(panned|xy)"' limit=2 systems=[listen,histogram]

`listen` gets the recording only; `listen-setup` and all public methods get the setup and its spacing too. Each system
runs twice: without and with the number of sources. Output in `out`: a file of predictions for each run of a system
(those of earlier runs stay and are in the table too), the separated signals, table.md, rows.csv and chart.png.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiotoken.errors import OptionError
from audiotoken.mini.things import WORD_OF_ESC10
from audiotoken.stereo.naming import make_scene_labeller
from audiotoken.writing import cannot_write, write_bytes
from experiments.benchmarks.public_methods import SEPARATORS, localise, separate, track
from experiments.benchmarks.spatial_report import write_report
from experiments.benchmarks.spatial_score import COUNT_GIVEN, LISTENERS, SCENE_SETUPS, SYSTEMS, read_audio
from spatial.listening import listen
from spatial.scene import Scene
from spatial.setups import Setup, make_setup

SETUPS = {theirs: name for name, theirs in SCENE_SETUPS.items()}  # names in the scenes -> in `spatial`
Truth = dict[str, Any]  # of a scene, as in its truth.json
Entry = dict[str, Any]  # of a scene, as in the predictions
Answer = tuple[Entry, list[np.ndarray]]  # and the signal of each source
System = Callable[[np.ndarray, int, Truth], Answer]


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
    """Run `systems`, some of `SYSTEMS`, on the scenes and write the results to `out`; returns the Markdown table.

    `only`: a regular expression on the names of scenes; `limit`: maximum number of scenes of each condition; `labels`:
    `listen` also labels each source, by the mini encoder; `stems`: write the signals, which SI-SDR needs. Raises
    OptionError for invalid options.
    """
    folder, names = Path(out), scene_names(Path(scenes), only, limit)
    if unknown := [name for name in systems if name not in SYSTEMS]:
        raise OptionError(f"Got systems={','.join(unknown)}, expected some of {', '.join(SYSTEMS)}; change it.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    runs = {name: run for system in systems for name, run in make_runs(system, labels)}
    predictions: dict[str, dict[str, Entry]] = {name: {} for name in runs}
    try:
        for number, scene in enumerate(names, 1):  # scene by scene: other load on the machine affects all systems
            recording, rate, truth = load_scene(Path(scenes) / scene)
            for name, run in runs.items():
                if name.removesuffix(COUNT_GIVEN) in SEPARATORS and (truth["moving"] or truth["n_sources"] < 2):
                    continue
                entry, signals = run_timed(run, recording, rate, truth)
                if stems and not truth["moving"] and truth["n_sources"] > 1:
                    write_stems(entry, signals, rate, folder, f"stems/{name}/{scene}")
                predictions[name][scene] = entry
            if on_row:
                on_row(f"{number}/{len(names)}  {scene}")
    finally:  # also when the benchmark is interrupted
        for name, entries in predictions.items():
            write_predictions(name, entries, folder)
    return write_report(Path(scenes), folder)


def write_predictions(name: str, entries: dict[str, Entry], folder: Path) -> None:
    """A file of predictions, with the facts that the system was given."""
    given = ["setup"] * (not name.startswith("listen") or "setup" in name) + ["count"] * name.endswith(COUNT_GIVEN)
    predictions = {"system": name, "given": given, "scenes": entries}
    write_bytes(json.dumps(predictions, indent=1).encode(), folder / f"{name}.json")


def scene_names(scenes: Path, only: str = "", limit: int | None = None) -> list[str]:
    """The scenes of index.json that match `only`, the first `limit` of each condition."""
    try:
        index = json.loads((scenes / "index.json").read_text())
    except (OSError, ValueError):
        raise OptionError(f"Cannot find scenes in {scenes}: there is no index.json; give a folder of scenes.") from None
    conditions: dict[str, list[str]] = {}
    for name in index:
        if re.search(only, name):
            conditions.setdefault(name.rsplit("/", 1)[0], []).append(name)
    names = [name for condition in conditions.values() for name in condition[:limit]]
    if not names:
        raise OptionError(f"Got only={only!r}, which matches none of {len(index)} scenes in {scenes}; change it.")
    return names


def load_scene(folder: Path) -> tuple[np.ndarray, int, Truth]:
    """((2, frames) float32, rate, ground truth)."""
    truth = json.loads((folder / "truth.json").read_text())
    return read_audio(folder / truth["mix"]).astype(np.float32), int(truth["fs"]), truth


def make_runs(system: str, labels: bool) -> Iterator[tuple[str, System]]:
    """(name, function) of a system's runs: without and with the number of sources."""
    if system not in SEPARATORS:
        yield system, make_system(system, labels, count_given=False)
    yield system + COUNT_GIVEN, make_system(system, labels=False, count_given=True)


def make_system(system: str, labels: bool, count_given: bool) -> System:
    if system in LISTENERS:
        return _make_listener(system == "listen-setup", _make_scene_labeller() if labels else None, count_given)
    if system in SEPARATORS:
        return lambda recording, rate, truth: _run_separator(system, recording, rate, truth)
    return lambda recording, rate, truth: _run_localiser(system, recording, rate, truth, count_given)


def run_timed(run: System, recording: np.ndarray, rate: int, truth: Truth) -> Answer:
    start = time.perf_counter()
    entry, signals = run(recording, rate, truth)
    return entry | {"wall_s": round(time.perf_counter() - start, 4)}, signals


def _make_listener(setup_given: bool, label: Callable[[Scene], list[str | None]] | None, count_given: bool) -> System:
    def run(recording: np.ndarray, rate: int, truth: Truth) -> Answer:
        count = truth["n_sources"] if count_given else None
        scene = listen(recording, rate, setup=setup_of(truth) if setup_given else "auto", count=count)
        entry: Entry = {"setup": SCENE_SETUPS.get(scene.setup, scene.setup), "sources": []}
        names = label(scene) if label else [None] * len(scene.sources)
        for source, name in zip(scene.sources, names, strict=True):
            one: dict[str, Any] = {"azimuth_deg": source.direction.azimuth}
            one |= {"track": [list(point) for point in source.path]} if source.path else {}
            entry["sources"].append(one | ({"label": name} if name else {}))
        return entry, [source.signal if source.image is None else source.image for source in scene.sources]

    return run


def _make_scene_labeller() -> Callable[[Scene], list[str | None]]:
    """A function from a scene to a label of each source, one of the ten of the scenes, which have no others."""
    label_of = {word: label for label, word in WORD_OF_ESC10.items()}
    label_scene = make_scene_labeller("mini", tuple(label_of))
    return lambda scene: [label_of[guess.name] if guess else None for guess in label_scene(scene)]


def _run_localiser(method: str, recording: np.ndarray, rate: int, truth: Truth, count_given: bool) -> Answer:
    setup, count = setup_of(truth), truth["n_sources"] if count_given else None
    if truth["moving"] and count_given and method == "histogram":
        paths = track(recording, rate, setup, truth["n_sources"])
        sources = [{"azimuth_deg": float(np.mean([a for _, a in path])), "track": path} for path in paths]
    else:
        sources = [{"azimuth_deg": azimuth} for azimuth in localise(method, recording, rate, setup, count=count)]
    return {"sources": sources}, []


def _run_separator(method: str, recording: np.ndarray, rate: int, truth: Truth) -> Answer:
    signals = separate(method, recording, rate, truth["n_sources"])
    return {"sources": [{"azimuth_deg": 0.0} for _ in signals]}, list(signals)  # these methods give no directions


def setup_of(truth: Truth) -> Setup:
    """The setup that the scene was recorded with."""
    name = SETUPS.get(str(truth["setup"]), str(truth["setup"]))
    spacing = (truth.get("geometry") or {}).get("spacing_m") if name == "spaced" else None
    return make_setup(name, spacing=spacing)


def write_stems(entry: Entry, signals: Sequence[np.ndarray], rate: int, folder: Path, subfolder: str) -> None:
    """WAV files named in the entry, scaled to 0.9 of full scale, which does not change SI-SDR."""
    (folder / subfolder).mkdir(parents=True, exist_ok=True)
    for number, (one, signal) in enumerate(zip(entry["sources"], signals, strict=False)):
        peak = float(np.abs(signal).max(initial=0))
        if peak < 1e-6:
            continue
        one["stem"] = f"{subfolder}/{number}.wav"
        soundfile.write(folder / one["stem"], 0.9 * np.asarray(signal).T / peak, rate, subtype="PCM_16")
