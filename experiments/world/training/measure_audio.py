"""Measure the mini audio encoder on sounds that were not used in training.

    python -m experiments.world.training.measure_audio --model runs/audio/folds123 --esc10 ../shared/esc10 --fold 4

Synthesised sounds and distractors have seeds from 20001 upwards, which neither training nor calibration uses.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiotoken.encoders.mini import MiniEncoder
from audiotoken.errors import AudioError
from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS
from audiotoken.unknown import energy_of, load_familiarity
from experiments.world.distractors import HELD_OUT, KINDS, distractor
from experiments.world.training.audio_mels import RATE, Rendered, list_real_clips, load_rendered, read_wave

Scores = NDArray[np.float64]
Waves = list[NDArray[np.float32]]


def classify(model: MiniEncoder, waves: Waves) -> Scores:
    """Class probabilities (clips, classes) of signals that may differ in length."""
    with torch.inference_mode():
        rows = [model.probabilities(torch.from_numpy(np.ascontiguousarray(w))[None])[0].double().numpy() for w in waves]
    return np.stack(rows)


def measure_accuracy(model: MiniEncoder, esc10: Path, fold: int) -> float:
    """Share of the real clips of `fold` whose highest score is their own class."""
    clips = list_real_clips(esc10, [fold])
    scores = classify(model.eval(), [read_wave(p) for p, _ in clips])
    return float(np.mean([AUDIBLE_WORDS[s.argmax()] == word for s, (_, word) in zip(scores, clips, strict=True)]))


def cut_loudest(wave: NDArray[np.float32], seconds: float) -> NDArray[np.float32]:
    """The span of `seconds` with the most energy; shorter signals are padded with very faint noise."""
    n = round(seconds * RATE)
    if n >= len(wave):
        noise = np.random.default_rng(len(wave)).standard_normal(n).astype(np.float32) * 1e-4
        noise[(n - len(wave)) // 2 :][: len(wave)] += wave
        return noise
    total = np.concatenate([[0.0], np.cumsum(wave.astype(np.float64) ** 2)])
    start = int(np.argmax(total[n:] - total[:-n]))
    return wave[start : start + n]


def compute_calibration_error(scores: Scores, truth: Scores, bins: int = 10) -> float:
    """Expected calibration error (Naeini et al. 2015) over all independent class scores."""
    which = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [
        abs(scores[which == b].mean() - truth[which == b].mean()) * np.mean(which == b)
        for b in range(bins)
        if (which == b).any()
    ]
    return float(np.sum(gaps))


def encode_one_hot(words: list[str | None]) -> Scores:
    """(clips, classes): 1 at the class of the word, all 0 for None."""
    return np.array([[float(word == name) for name in AUDIBLE_WORDS] for word in words])


def measure_real(model: MiniEncoder, esc10: Path, fold: int) -> dict[str, Any]:
    """Accuracy per class, confusions, acceptance and calibration on real clips, and accuracy by length."""
    clips = list_real_clips(esc10, [fold])
    waves, words = [read_wave(p) for p, _ in clips], [w for _, w in clips]
    scores = classify(model, waves)
    best = [AUDIBLE_WORDS[k] for k in scores.argmax(1)]
    out: dict[str, Any] = {
        "clips": len(clips),
        "top1": float(np.mean([a == b for a, b in zip(best, words, strict=True)])),
    }
    own = scores[np.arange(len(words)), [AUDIBLE_WORDS.index(w) for w in words]]
    out["own_class_above_half"] = float(np.mean(own > 0.5))
    out["accepted_at_half"] = float(np.mean(scores.max(1) > 0.5))
    out["per_class"] = {
        w: float(np.mean([b == w for b, t in zip(best, words, strict=True) if t == w])) for w in dict.fromkeys(words)
    }
    wrong = [f"{t} as {b}" for b, t in zip(best, words, strict=True) if b != t]
    out["confusions"] = {k: wrong.count(k) for k in dict.fromkeys(wrong)}
    out["calibration_error"] = compute_calibration_error(scores, encode_one_hot(list(words)))
    out["top1_by_seconds"] = {}
    for seconds in (1, 2, 5, 10):
        s = classify(model, [cut_loudest(w, seconds) for w in waves])
        out["top1_by_seconds"][str(seconds)] = float(
            np.mean([AUDIBLE_WORDS[k] == t for k, t in zip(s.argmax(1), words, strict=True)])
        )
    return out


def measure_synthesised(model: MiniEncoder, per_word: int) -> dict[str, Any]:
    """Shares per word of top-1 and of own scores above 0.5, on synthesised sounds with new seeds."""
    out = {}
    for word in AUDIBLE_WORDS:
        scores = classify(model, [synthesise(word, RATE, 5.0, 20001 + s) for s in range(per_word)])
        own = AUDIBLE_WORDS.index(word)
        out[word] = {
            "top1": float(np.mean(scores.argmax(1) == own)),
            "above_half": float(np.mean(scores[:, own] > 0.5)),
        }
    return out


def measure_rejection(model: MiniEncoder, per_kind: int) -> dict[str, Any]:
    """Share of distractors that some class accepts at 0.5, by kind; `held_out` kinds were not used in training."""
    out: dict[str, Any] = {}
    for name, kinds in (("trained", KINDS), ("held_out", HELD_OUT)):
        by_kind, taken_for = {}, {}
        for kind in kinds:
            scores = classify(model, [distractor(RATE, 5.0, 20001 + s, kind=kind) for s in range(per_kind)])
            by_kind[kind] = float(np.mean(scores.max(1) > 0.5))
            if by_kind[kind]:
                taken_for[kind] = AUDIBLE_WORDS[scores.max(0).argmax()]
        out[name] = {
            "accepted": float(np.mean(list(by_kind.values()))),
            "by_kind": by_kind,
            "mostly_taken_for": taken_for,
        }
    return out


def measure_mixtures(model: MiniEncoder, esc10: Path, fold: int, pairs: int = 100) -> dict[str, float]:
    """The two highest scores for mixtures of two real clips of `fold`, of different classes, at equal power."""
    rng, clips = np.random.default_rng(7), list_real_clips(esc10, [fold])
    first = second = both = above = 0
    for _ in range(pairs):
        a, b = rng.choice(len(clips), 2, replace=False)
        while clips[a][1] == clips[b][1]:
            b = rng.integers(len(clips))
        waves = [cut_loudest(read_wave(clips[k][0]), 4.0) for k in (a, b)]
        mixed = np.stack([0.05 * w / (float(np.sqrt(np.mean(w**2))) + 1e-9) for w in waves]).sum(0)
        scores, pair = classify(model, [mixed])[0], {clips[a][1], clips[b][1]}
        order = [AUDIBLE_WORDS[k] for k in np.argsort(-scores)]
        first += order[0] in pair
        both += set(order[:2]) == pair
        second += len(pair & {w for w, s in zip(AUDIBLE_WORDS, scores, strict=True) if s > 0.5})
        above += len({w for w, s in zip(AUDIBLE_WORDS, scores, strict=True) if s > 0.5} - pair)
    return {
        "pairs": pairs,
        "top1_in_pair": first / pairs,
        "top2_is_pair": both / pairs,
        "sources_above_half": second / (2 * pairs),
        "false_alarms_per_mixture": above / pairs,
    }


def measure_rendered(model: MiniEncoder, held: Rendered, threshold: float | None) -> dict[str, Any]:
    """Shares in percent on images, stems and mixtures of `render_audio`, by setup and by room.

    Right: the highest score is the own source's; of a mixture, the highest scores are those of its things.
    `flagged`: right and wrong names whose energy is below the threshold of the test for unknown sounds.
    """
    right: dict[str, list[bool]] = {}
    flags: dict[str, list[bool]] = {}
    neighbours = []
    with torch.inference_mode():
        for mels, classes, own, fact in zip(held.mels, held.classes, held.own, held.facts, strict=True):
            pooled = model.evidence(torch.from_numpy(mels.astype(np.float32))[None])[0]
            order = (pooled * model.scale + model.offset).argsort(descending=True).tolist()
            there = {int(c) for c in classes if c >= 0}
            if (own >= 0 and classes[own] < 0) or not there:
                continue
            good = order[0] == classes[own] if own >= 0 else set(order[: len(there)]) == there
            room = "dry" if fact["rt60"] == 0 else "to 0.4 s" if fact["rt60"] < 0.4 else "over 0.4 s"
            for key in ("all", room, fact["setup"]):
                right.setdefault(f"{fact['kind']}, {key}", []).append(bool(good))
            if fact["kind"] == "stem":
                neighbours.append(not good and order[0] in there)
            if own >= 0 and threshold is not None:
                name = f"{fact['kind']}, {'right' if good else 'wrong'}"
                flags.setdefault(name, []).append(energy_of(pooled) < threshold)
    return {
        "right": {k: [round(100 * float(np.mean(v)), 1), len(v)] for k, v in sorted(right.items())},
        "stems with the neighbour's name": round(100 * float(np.mean(neighbours)), 1),
        "flagged as unknown": {k: [round(100 * float(np.mean(v)), 1), len(v)] for k, v in sorted(flags.items())},
    }


def measure_other_sounds(model: MiniEncoder, folder: Path) -> dict[str, Any]:
    """Share of recordings of other things, one per file, that some class accepts at 0.5, and the accepting classes."""
    waves = {}
    for path in sorted(folder.iterdir()):
        try:
            waves[path.stem] = read_wave(path)[: 10 * RATE]
        except AudioError as error:
            print(f"{error} It is left out.", file=sys.stderr)
    scores = classify(model, list(waves.values()))
    taken = {
        name: f"{AUDIBLE_WORDS[s.argmax()]} {s.max():.2f}"
        for name, s in zip(waves, scores, strict=True)
        if s.max() > 0.5
    }
    return {"recordings": len(waves), "accepted": len(taken) / len(waves), "taken_for": taken}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", required=True, help="folder of the encoder")
    parser.add_argument("--esc10", required=True, help="folder of real recordings with metadata.csv")
    parser.add_argument("--fold", type=int, default=4, help="fold of real clips to measure on; 0: none held out")
    parser.add_argument("--per-word", type=int, default=10)
    parser.add_argument("--per-kind", type=int, default=8)
    parser.add_argument("--held", type=Path, default=None, help="folder of scenes in rooms, by render_audio")
    parser.add_argument("--only-held", action="store_true", help="measure nothing but these, and only print it")
    parser.add_argument("--strangers", default=None, help="folder of recordings of other things, not trained on")
    parser.add_argument(
        "--before", default=None, help="measured.json of the encoder trained without the fold, to include"
    )
    parser.add_argument("--out", default=None, help="path of measured.json; default: beside the weights")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = MiniEncoder.from_pretrained(args.model, torch_dtype=torch.float32).eval()
    familiarity = load_familiarity(args.model)
    threshold = familiarity.threshold if familiarity else None
    if args.only_held:
        print(json.dumps(measure_rendered(model, load_rendered(args.held), threshold), indent=1))
        return
    measured: dict[str, Any] = {
        "command": "python -m experiments.world.training.measure_audio " + " ".join(sys.argv[1:])
    }
    esc10, calibration = Path(args.esc10), Path(args.model) / "calibration.json"
    if calibration.exists():
        measured["calibration_error_on_real_clips"] = json.loads(calibration.read_text())
    if args.fold:
        measured["real"] = measure_real(model, esc10, args.fold)
        measured["mixtures"] = measure_mixtures(model, esc10, args.fold)
    if args.held:
        measured["rooms_and_stems"] = measure_rendered(model, load_rendered(args.held), threshold)
    measured["synthesised"] = measure_synthesised(model, args.per_word)
    measured["none_of_these"] = measure_rejection(model, args.per_kind)
    if args.strangers:
        measured["strangers"] = measure_other_sounds(model, Path(args.strangers))
    if args.before:
        measured["before_the_last_fold"] = json.loads(Path(args.before).read_text())
    Path(args.out or Path(args.model) / "measured.json").write_text(json.dumps(measured, indent=1) + "\n")
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
