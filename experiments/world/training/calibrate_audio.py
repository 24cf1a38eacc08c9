"""Fit the familiarity and the calibration of a trained mini audio encoder, and store both in its weights.

    python -m experiments.world.training.calibrate_audio --model runs/audio/folds123 --esc10 ESC10 --folds 1,2,3
    python -m experiments.world.training.calibrate_audio --model runs/audio/shipped --esc10 ESC10 --folds 1,2,3,4 \
        --like runs/audio/folds123 --strictness 0.009

Add `--rendered` and `--held` for folders of `render_audio`: the rooms and stems of the training, and those to calibrate
on, of the other fold in other rooms.

First, the windows of the training sounds give each class one centre for real and one for synthesised sounds, one for
those in rooms and stems, and all classes together one covariance. A large distance from the centres of a class lowers
its score (Lee et al. 2018, "A simple unified framework for detecting out-of-distribution samples"). Then one
temperature and an offset per class are fitted on a fold that was not used in training, on synthesised sounds and on
distractors with odd seeds (training uses even ones). If there is no such fold, `--like` copies the calibration of
another encoder. The encoder trained on more data is more confident, so its strictness is increased until it accepts
other things (`--strangers` of measure_audio) about as often as the other encoder.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audiotoken.encoders.mini import MiniEncoder
from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS
from experiments.world.distractors import KINDS, distractor
from experiments.world.training.audio_mels import (
    RATE,
    Rendered,
    compute_targets,
    list_real_clips,
    load_rendered,
    read_wave,
)
from experiments.world.training.measure_audio import (
    Scores,
    Waves,
    compute_calibration_error,
    cut_loudest,
    encode_one_hot,
)

STRICTNESS = 0.006  # loss of score per unit of squared distance; chosen on recordings of other things, see measured.md
SHRINKAGE = 0.2  # of the covariance towards a sphere, for 192 dimensions and a few hundred clips
SYNTHESISED = 16  # clips per class
CLEAN = 4.0  # power of a stem's own source over that of the others from which its features count
ENOUGH = 8  # windows of a class in rooms from which they get a centre of their own


def compute_window_features(model: MiniEncoder, waves: Waves) -> Tensor:
    """Square roots of the mean features of all windows with enough weight, for clips and their loudest 1 and 2 s."""
    kept = []
    for wave in waves:
        for part in (wave, cut_loudest(wave, 1.0), cut_loudest(wave, 2.0)):
            _, means, weight, _ = model.windows(torch.from_numpy(np.ascontiguousarray(part))[None])
            kept.append(means[0][weight[0] > 0.5 * weight[0].max()])
    return torch.cat(kept).clamp(min=0).sqrt().double()


def compute_rendered_features(model: MiniEncoder, rendered: Rendered) -> list[Tensor]:
    """The same for each class: of images, and of stems that hold little else than their own source."""
    kept: list[list[Tensor]] = [[] for _ in AUDIBLE_WORDS]
    for mels, levels, classes, own in zip(rendered.mels, rendered.levels, rendered.classes, rendered.own, strict=True):
        if own < 0 or classes[own] < 0:
            continue
        power = np.power(10.0, levels.astype(float) / 10).mean(1)
        if power[own] > CLEAN * (power.sum() - power[own]):
            _, means, weight, _ = model.windows_of(torch.from_numpy(mels.astype(np.float32))[None])
            kept[classes[own]].append(means[0][weight[0] > 0.5 * weight[0].max()])
    return [torch.cat(one).clamp(min=0).sqrt().double() if one else torch.empty(0, model.depth) for one in kept]


@torch.no_grad()
def fit_familiarity(
    model: MiniEncoder,
    esc10: Path,
    folds: Iterable[int],
    strictness: float = STRICTNESS,
    rendered: Rendered | None = None,
) -> None:
    """Compute centres and whitening from the training sounds and store them in the model."""
    clips, centres, spreads = list_real_clips(esc10, folds), [], []
    in_rooms = (
        compute_rendered_features(model, rendered) if rendered else [torch.empty(0, model.depth)] * len(AUDIBLE_WORDS)
    )
    for word, roomy in zip(AUDIBLE_WORDS, in_rooms, strict=True):
        real = [read_wave(path) for path, name in clips if name == word]
        made = [synthesise(word, RATE, 5.0, 2 * seed) for seed in range(SYNTHESISED)]
        pair = [compute_window_features(model, waves) for waves in (real or made, made)]
        groups = pair if real else pair[1:]
        if len(roomy) >= ENOUGH:
            groups = [*groups, roomy]
        spreads += [torch.cov(group.T, correction=0) for group in groups]
        means = [group.mean(0) for group in groups]
        centres.append(torch.stack((means * 3)[: model.config["origins"]]))
    spread = torch.stack(spreads).mean(0)
    ball = spread.diagonal().mean() * torch.eye(len(spread), dtype=torch.float64)
    values, vectors = torch.linalg.eigh((1 - SHRINKAGE) * spread + SHRINKAGE * ball)
    whitening = vectors * (strictness / values).sqrt()
    model.whitening.copy_(whitening)
    model.centres.copy_(torch.stack(centres) @ whitening)


def fit_calibration(logits: Scores, truth: Scores, weight: Scores, pull: float = 0.001) -> tuple[Scores, Scores]:
    """Fit one temperature and an offset per class by weighted logistic regression; offsets are pulled to their mean."""
    x, y, w = (torch.tensor(a) for a in (logits, truth, weight))
    log_scale = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    offset = torch.zeros(len(AUDIBLE_WORDS), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_scale, offset], max_iter=200)

    def step() -> float:
        optimiser.zero_grad()
        loss = F.binary_cross_entropy_with_logits(x * log_scale.exp() + offset, y, reduction="none").sum(1)
        total = (loss * w).sum() / w.sum() + pull * ((offset - offset.mean()) ** 2).sum()
        total.backward()
        return float(total.detach())

    optimiser.step(step)
    return log_scale.exp().expand(len(AUDIBLE_WORDS)).detach().numpy().copy(), offset.detach().numpy()


@torch.no_grad()
def compute_logits(model: MiniEncoder, waves: Waves) -> Scores:
    """Pooled scores before calibration (clips, classes)."""
    spectra = [model.decibels(torch.from_numpy(np.ascontiguousarray(wave))[None]) for wave in waves]
    return np.stack([model.evidence(one)[0].double().numpy() for one in spectra])


def make_calibration_set(
    model: MiniEncoder, esc10: Path, fold: int, held: Rendered | None
) -> tuple[Scores, Scores, Scores]:
    """Scores, truth and weights: half for real clips, a quarter each for synthesised clips and known distractors.

    With rooms and stems, these get half of the real clips' weight.
    """
    clips = list_real_clips(esc10, [fold])
    waves, words = [read_wave(p) for p, _ in clips], [w for _, w in clips]
    made = [(word, seed) for word in AUDIBLE_WORDS for seed in range(3)]
    none = [(kind, seed) for kind in KINDS for seed in range(3)]
    waves += [synthesise(word, RATE, 5.0, 2 * seed + 1) for word, seed in made]
    waves += [distractor(RATE, 5.0, 2 * seed + 1, kind=kind) for kind, seed in none]
    weight = np.concatenate([np.full(len(g), s / len(g)) for g, s in ((clips, 0.5), (made, 0.25), (none, 0.25))])
    truth = encode_one_hot([*words, *(w for w, _ in made), *(None for _ in none)])
    logits = compute_logits(model, waves)
    if held is not None:
        weight[: len(clips)] /= 2
        weight = np.concatenate([weight, np.full(len(held.mels), 0.25 / len(held.mels))])
        logits = np.concatenate([logits, compute_rendered_logits(model, held)])
        truth = np.concatenate([truth, list_audible(held)])
    return logits, truth, weight


def compute_rendered_logits(model: MiniEncoder, rendered: Rendered) -> Scores:
    """Pooled scores before calibration (spectrograms, classes)."""
    with torch.inference_mode():
        each = [model.evidence(torch.from_numpy(mels.astype(np.float32))[None])[0] for mels in rendered.mels]
    return torch.stack(each).double().numpy()


def list_audible(rendered: Rendered) -> Scores:
    """Which things can be heard in each spectrogram (spectrograms, classes), as training says it."""
    stems = [fact["kind"] == "stem" for fact in rendered.facts]
    parts = zip(rendered.levels, rendered.classes, rendered.own, stems, strict=True)
    return np.stack([compute_targets(levels, classes, own, stem)[0] for levels, classes, own, stem in parts]).astype(
        float
    )


def calibrate(model: MiniEncoder, esc10: Path, fold: int, held: Rendered | None = None) -> dict[str, float]:
    """Fit and store the calibration; return its error on the real clips before, after, and with two-fold validation."""
    logits, truth, weight = make_calibration_set(model, esc10, fold, held)
    real = len(list_real_clips(esc10, [fold]))

    def probability(scale: Scores, offset: Scores) -> Scores:
        return 1 / (1 + np.exp(-(logits * scale + offset)))

    half, crossed = np.arange(len(logits)) % 2 == 0, np.zeros_like(logits)
    for part in (half, ~half):
        crossed[~part] = probability(*fit_calibration(logits[part], truth[part], weight[part]))[~part]
    scale, offset = fit_calibration(logits, truth, weight)
    model.scale.copy_(torch.tensor(scale)), model.offset.copy_(torch.tensor(offset))
    before, after = probability(np.ones(16), np.zeros(16)), probability(scale, offset)
    names = {"before": before, "after": after, "two_fold": crossed}
    return {k: compute_calibration_error(v[:real], truth[:real]) for k, v in names.items()}


def copy_with_origins(model: MiniEncoder, origins: int) -> MiniEncoder:
    """The same model with room for that many centres of each class."""
    options = {name: value for name, value in model.config.items() if not name.startswith("_")}
    other = MiniEncoder(**(options | {"origins": origins})).eval()
    other.load_state_dict(model.state_dict() | {"centres": other.centres})
    return other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", required=True, help="folder of the encoder, changed in place")
    parser.add_argument("--esc10", required=True, help="folder of real recordings with metadata.csv")
    parser.add_argument("--folds", default="1,2,3", help="folds that the encoder was trained on")
    parser.add_argument("--fold", type=int, default=4, help="fold to calibrate on")
    parser.add_argument("--like", default=None, help="folder of an encoder to copy the calibration from")
    parser.add_argument("--rendered", type=Path, default=None, help="folder of scenes that it was trained on")
    parser.add_argument("--held", type=Path, default=None, help="folder of scenes of the other fold, in other rooms")
    parser.add_argument("--strictness", type=float, default=STRICTNESS, help="loss of score per squared distance")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = MiniEncoder.from_pretrained(args.model, torch_dtype=torch.float32).eval()
    rendered = load_rendered(args.rendered) if args.rendered else None
    if rendered:
        model = copy_with_origins(model, 3)
    fit_familiarity(model, Path(args.esc10), [int(f) for f in args.folds.split(",")], args.strictness, rendered)
    if args.like:
        other = MiniEncoder.from_pretrained(args.like, torch_dtype=torch.float32)
        model.scale.copy_(other.scale)
        model.offset.copy_(other.offset)
    else:
        held = load_rendered(args.held) if args.held else None
        errors = calibrate(model, Path(args.esc10), args.fold, held)
        (Path(args.model) / "calibration.json").write_text(json.dumps(errors, indent=1) + "\n")
        print(json.dumps(errors))
    model.half().save_pretrained(args.model)


if __name__ == "__main__":
    main()
