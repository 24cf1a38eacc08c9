"""Fit the test for unknown sounds, save it beside the weights of the mini audio encoder, and measure it.

    python -m experiments.world.training.fit_unknown --esc10 ../shared/esc10 [--strangers FOLDER] [--dry-run]
    python -m experiments.world.training.fit_unknown --model runs/audio/folds123 --esc10 ESC10 --folds 4 --held SCENES
    python -m experiments.world.training.fit_unknown --model runs/audio/shipped --like runs/audio/folds123

The fit uses as unknown sounds real clips whose own class is removed from the encoder, and distractors with odd seeds.
The known sounds are the real clips: whole, their loudest second, and with another clip 12 dB below, as separation
leaves it. With `--held`, a folder of `render_audio`, rooms and stems named right count as known, those named wrongly
as unknown. The threshold accepts 95 % of the known sounds, that of separated sounds 95 % of the stems named right. The
test is measured on distractors of held-out kinds, on noise and tones, and on `--strangers`, a folder of other
recordings. An encoder is too sure of clips that it was trained on, and a threshold fitted on them too high: fit it on
another fold. For an encoder trained on all of them, `--like` copies what was fitted for one that was not.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiotoken.encoders.mini import MiniEncoder
from audiotoken.mini.things import AUDIBLE_WORDS
from audiotoken.unknown import NAME, Familiarity, compute_energy, energy_of, load_familiarity
from experiments.world.distractors import HELD_OUT, KINDS, distractor
from experiments.world.training.audio_mels import RATE, Rendered, list_real_clips, load_rendered, read_wave
from experiments.world.training.calibrate_audio import compute_rendered_logits
from experiments.world.training.measure_audio import cut_loudest

FOLDS = "1,2,3,4"
KEPT = 0.95  # accepted share of known sounds
LEAK = 10 ** (-12 / 20)
Signal = NDArray[np.float32]


def iterate_known(esc10: Path, folds: list[int]) -> Iterator[tuple[Signal, int]]:
    """Yield (signal, class) of real clips and their variants."""
    clips = list_real_clips(esc10, folds)
    waves = [read_wave(path) for path, _ in clips]
    for number, (wave, (_, word)) in enumerate(zip(waves, clips, strict=True)):
        other = np.resize(waves[(number * 37 + 101) % len(waves)], len(wave))
        leak = LEAK * other * np.sqrt(np.mean(wave**2) / (np.mean(other**2) + 1e-12))
        for each in (wave, cut_loudest(wave, 1.0), wave + leak):
            yield each.astype(np.float32), AUDIBLE_WORDS.index(word)


@dataclass
class RoomEnergies:
    """Energies of images and stems, whose highest score is their own class or not."""

    images: list[float] = field(default_factory=list)  # named right
    stems: list[float] = field(default_factory=list)  # named right
    wrong: list[float] = field(default_factory=list)
    without: list[float] = field(default_factory=list)  # of all, with their own class left out


def measure_rendered(model: MiniEncoder, held: Rendered) -> RoomEnergies:
    """The energies of images and stems that have a class."""
    found = RoomEnergies()
    rows = zip(compute_rendered_logits(model, held), held.classes, held.own, held.facts, strict=True)
    for scores, classes, own, fact in rows:
        if own >= 0 and classes[own] >= 0:
            pooled = torch.from_numpy(scores)
            right = found.stems if fact["kind"] == "stem" else found.images
            (right if scores.argmax() == classes[own] else found.wrong).append(energy_of(pooled))
            found.without.append(energy_of(pooled, without=int(classes[own])))
    return found


def synthesise_unknown(kinds: tuple[str, ...], seeds: range) -> list[Signal]:
    return [distractor(RATE, 5.0, 2 * seed + 1, kind=kind) for kind in kinds for seed in seeds]


def make_artificial() -> list[Signal]:
    """White and brown noise, clicks, a sweep, and tones of several pitches."""
    random, time = np.random.default_rng(0), np.arange(3 * RATE) / RATE
    made = [random.standard_normal(len(time)) * 0.1, np.cumsum(random.standard_normal(len(time))) / 500]
    made += [
        np.sin(2 * np.pi * hertz * time) * (time % 1 < long) for hertz in (110, 440, 997, 3000) for long in (0.3, 1)
    ]
    made += [np.sin(2 * np.pi * (100 + 900 * time) * time), (random.random(len(time)) < 3e-4).astype(float)]
    return [(0.3 * each / np.abs(each).max()).astype(np.float32) for each in made]


def compute_energies(model: MiniEncoder, waves: list[Signal]) -> NDArray:
    return np.array([compute_energy(model, torch.from_numpy(np.ascontiguousarray(wave))[None]) for wave in waves])


def fit_familiarity(known: NDArray, unknown: NDArray, stems: Sequence[float] = ()) -> Familiarity:
    """Fit with equal weight for known and unknown sounds; stems: energies of known sounds that were separated."""
    from sklearn.linear_model import LogisticRegression

    both, truth = np.concatenate([known, unknown]), np.repeat([1, 0], [len(known), len(unknown)])
    model = LogisticRegression(class_weight="balanced").fit(both[:, None], truth)
    numbers = [model.coef_[0, 0], model.intercept_[0], np.quantile(known, 1 - KEPT)]
    numbers += [np.quantile(stems, 1 - KEPT)] if len(stems) else []
    return Familiarity(*(round(float(number), 4) for number in numbers))


def compute_auroc(known: NDArray, unknown: NDArray) -> float:
    """The probability that a known sound scores above an unknown one."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.repeat([1, 0], [len(known), len(unknown)]), np.concatenate([known, unknown])))


def measure_rejection(found: Familiarity, known: NDArray, unknown: dict[str, NDArray]) -> dict[str, Any]:
    """AUROC and the rejected share, for each kind of unknown sound."""
    return {
        name: {
            "sounds": len(strange),
            "auroc": round(compute_auroc(known, strange), 3),
            "rejected": round(float(np.mean(strange < found.threshold)), 3),
        }
        for name, strange in unknown.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path("audiotoken/mini/audio_encoder"))
    parser.add_argument("--esc10", type=Path, help="folder of real recordings with metadata.csv")
    parser.add_argument("--folds", default=FOLDS, help="folds of the known sounds")
    parser.add_argument("--held", type=Path, help="folder of scenes in rooms, by render_audio")
    parser.add_argument("--like", type=Path, help="folder of an encoder to copy the test from")
    parser.add_argument("--strangers", type=Path, help="folder of recordings of things that mini does not know")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    options = parser.parse_args()
    if options.like:
        copied = load_familiarity(options.like)
        if copied is None:
            raise SystemExit(f"Got --like {options.like}, expected a folder with {NAME}; fit that encoder first.")
        copied.save(options.model)
        return
    model = MiniEncoder.from_pretrained(options.model, torch_dtype=torch.float32).eval()
    pairs = list(iterate_known(options.esc10, [int(fold) for fold in options.folds.split(",")]))
    known = compute_energies(model, [wave for wave, _ in pairs])
    taken = np.array([compute_energy(model, torch.from_numpy(wave)[None], without=index) for wave, index in pairs])
    made = compute_energies(model, synthesise_unknown(KINDS, range(6)))
    unknown = {"real clips without their class": taken, "distractors of known kinds": made}
    stems: list[float] = []
    if options.held:
        rooms = measure_rendered(model, load_rendered(options.held))
        stems, known = rooms.stems, np.concatenate([known, rooms.images, rooms.stems])
        unknown["rooms and stems named wrongly"] = np.array(rooms.wrong)
        unknown["rooms and stems without their class"] = np.array(rooms.without)
    found = fit_familiarity(known, np.concatenate(list(unknown.values())), stems)
    unknown["distractors of held-out kinds"] = compute_energies(
        model, synthesise_unknown(HELD_OUT, range(10_000, 10_008))
    )
    unknown["noise, tones, clicks"] = compute_energies(model, make_artificial())
    for folder in sorted(options.strangers.iterdir()) if options.strangers else ():
        unknown[folder.name] = compute_energies(model, [read_wave(path) for path in sorted(folder.iterdir())])
    print(found)
    print(json.dumps(measure_rejection(found, known, unknown), indent=1))
    if not options.dry_run:
        found.save(options.model)


if __name__ == "__main__":
    main()
