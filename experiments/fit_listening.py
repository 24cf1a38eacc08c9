"""Fit the two small networks of `spatial`: one recognises the stereo setup, one localises sources.

    python -m experiments.fit_listening maps SCENES --out scenes.npz    # once per folder of scenes, about 0.6 s a scene
    python -m experiments.fit_listening fit scenes.npz more.npz --held-out other.npz

Scenes are folders in the format of the benchmark (index.json; mix.wav and truth.json per scene). Their clips are never
used for the final figures of the benchmark. The command writes `spatial/recognise.npz` and `spatial/heatmap.npz`. Only
this file needs torch; the package multiplies the matrices itself.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
import torch
import typer
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional

from audiotoken.cli.terminal import progress
from spatial.evidence import gather
from spatial.learned import load_network, predict_heatmap
from spatial.localisation import SourcePosterior, pick_peaks
from spatial.maps import compute_maps
from spatial.recognise import compute_features
from spatial.setups import make_setup

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
SETUPS = {"ab50": "spaced"}  # names in the scenes -> in `spatial`
SIGMA = 2.0  # grid steps: width of the target peaks
NOISE = 0.05  # added to the standardised maps in training
HIDDEN, DROP = 24, 0.2
EPOCHS, BATCH, LEARNING_RATE = 60, 64, 2e-3


@dataclass(frozen=True, eq=False)
class Scenes:
    """Features and ground truth of many scenes."""

    features: NDArray  # (scenes, features), for the setup
    maps: NDArray  # (scenes, maps, azimuths)
    truths: list[dict[str, Any]]


@app.command("maps")
def compute(scenes: Path, out: Annotated[Path, typer.Option()]) -> None:
    """Compute the networks' inputs for every scene of a folder, with its true setup."""
    features, maps, truths = [], [], []
    names = json.loads((scenes / "index.json").read_text())
    with progress("listening") as bar:
        for done, name in enumerate(names):
            truth = json.loads((scenes / name / "truth.json").read_text())
            mixture, rate = soundfile.read(scenes / name / truth["mix"], dtype="float32")
            kind = SETUPS.get(truth["setup"], truth["setup"])
            stereo = make_setup(kind, spacing=truth["geometry"]["spacing_m"] if kind == "spaced" else None)
            evidence = gather(mixture.T, rate)
            features.append(compute_features(evidence))
            maps.append(compute_maps(evidence, stereo).astype(np.float16))
            truths.append(_summarise(truth, kind, stereo.limit))
            bar.update(done + 1, len(names))
    np.savez_compressed(out, features=np.array(features), maps=np.array(maps), truths=json.dumps(truths))


@app.command()
def fit(
    files: list[Path],
    held_out: Annotated[Path | None, typer.Option(help="Scenes used only for the evaluation.")] = None,
    seed: int = 0,
    into: Annotated[Path, typer.Option(help="Folder for the two files.")] = Path("spatial"),
) -> None:
    """Fit both networks and print their accuracy on the held-out scenes."""
    if held_out and into != Path("spatial"):
        raise typer.BadParameter("--held-out evaluates the package's own files; leave out --into or --held-out")
    scenes = _load(files)
    if len(scenes.truths) < 2 * BATCH:
        raise typer.BadParameter(f"got {len(scenes.truths)} scenes, expected {2 * BATCH} or more; simulate some")
    setups = fit_setups(scenes, seed)
    np.savez_compressed(into / "recognise.npz", allow_pickle=False, **setups)
    heat = fit_heatmap(scenes, seed)
    np.savez_compressed(into / "heatmap.npz", allow_pickle=False, **heat)
    if held_out:
        evaluate(_load([held_out]))


def fit_setups(scenes: Scenes, seed: int) -> dict[str, NDArray]:
    """Fit a network with one hidden layer (scikit-learn) from features to the setup.

    A dry recording that has only level differences may be panned or XY, and nothing in it distinguishes the two. Such
    scenes are weighted so that the more common setup wins.
    """
    targets = [truth["setup"] for truth in scenes.truths]
    scaler = StandardScaler().fit(scenes.features)
    net = MLPClassifier((16,), alpha=10, max_iter=500, random_state=seed)
    net.fit(scaler.transform(scenes.features), targets, sample_weight=[_weight(truth) for truth in scenes.truths])
    arrays = {
        "mean": scaler.mean_,
        "scale": scaler.scale_,
        "first": net.coefs_[0],
        "bias": net.intercepts_[0],
        "second": net.coefs_[1],
        "offset": net.intercepts_[1],
    }
    return {**{key: each.astype(np.float32) for key, each in arrays.items()}, "classes": np.array(net.classes_, "U16")}


def fit_heatmap(scenes: Scenes, seed: int) -> dict[str, NDArray]:
    """Fit three convolutions (torch) from maps to the presence at each azimuth and the number of sources."""
    torch.manual_seed(seed)
    fixed = [i for i, truth in enumerate(scenes.truths) if not truth["moving"]]
    seen = scenes.maps[fixed].astype(np.float32)
    mean, scale = (each[0] for each in (seen.mean((0, 2), keepdims=True), seen.std((0, 2), keepdims=True) + 1e-3))
    targets, counts = _make_targets([scenes.truths[i] for i in fixed])
    inputs, heats, numbers = torch.tensor((seen - mean) / scale), torch.tensor(targets), torch.tensor(counts)
    net = Net(seen.shape[1])
    steps = EPOCHS * (len(seen) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps + 1)
    for step in range(steps):
        if step % (len(seen) // BATCH) == 0:
            order = torch.randperm(len(seen))
        chosen = order[(step % (len(seen) // BATCH)) * BATCH :][:BATCH]
        mirror = torch.rand(len(chosen)) < 0.5
        x = torch.where(mirror[:, None, None], inputs[chosen].flip(2), inputs[chosen])
        y = torch.where(mirror[:, None], heats[chosen].flip(1), heats[chosen])
        heat, count = net(x + NOISE * torch.randn_like(x))
        loss = functional.binary_cross_entropy_with_logits(heat, y, reduction="none").sum(1).mean()
        loss = loss + functional.cross_entropy(count, numbers[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    arrays = {
        key: each.numpy().astype(np.float16 if each.numel() > 200 else np.float32)
        for key, each in net.state_dict().items()
    }
    return {**arrays, "mean": mean.astype(np.float32), "scale": scale.astype(np.float32)}


class Net(nn.Module):
    """The network of `spatial.learned.predict_heatmap`, with the same names."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.a = nn.Conv1d(maps, HIDDEN, 5, padding=2)
        self.b = nn.Conv1d(HIDDEN, HIDDEN, 9, padding=4)
        self.c = nn.Conv1d(HIDDEN, HIDDEN, 9, padding=8, dilation=2)
        self.heat = nn.Conv1d(HIDDEN, 1, 1)
        self.count = nn.Linear(2 * HIDDEN, 4)
        self.drop = nn.Dropout(DROP)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(scenes, maps, azimuths) -> logits of the presence (scenes, azimuths) and of the number (scenes, 4)."""
        x = self.drop(torch.relu(self.a(x)))
        x = self.drop(torch.relu(self.b(x)) + x)
        x = torch.relu(self.c(x)) + x
        return self.heat(x)[:, 0], self.count(torch.cat([x.mean(2), x.amax(2)], 1))


def evaluate(scenes: Scenes) -> None:
    """Print how often the setup, the number and the azimuths are correct; the second network gets the true setup."""
    net = load_network("recognise")
    correct = [
        net.classes[int(net.predict_probabilities(x).argmax())] == t["setup"]
        for x, t in zip(scenes.features, scenes.truths, strict=True)
    ]
    typer.echo(f"setup correct: {100 * np.mean(correct):.1f} % of {len(correct)}")
    number, near, total, estimated = [], 0, 0, 0
    for seen, truth in zip(scenes.maps.astype(np.float32), scenes.truths, strict=True):
        if truth["moving"]:
            continue
        positions = np.array([position for position, _ in pick_peaks(SourcePosterior(*predict_heatmap(seen)), 4)])
        azimuths = (positions / 45 - 1) * truth["limit"]
        number.append(len(positions) == len(truth["azimuths"]))
        near += sum(np.abs(azimuths - each).min(initial=180) <= 10 for each in truth["azimuths"])
        total, estimated = total + len(truth["azimuths"]), estimated + len(positions)
    f_score = 200 * near / (total + estimated)
    typer.echo(f"static: number correct {100 * np.mean(number):.1f} %, F at 10 degrees {f_score:.1f} %")


def _weight(truth: dict[str, Any]) -> float:
    by_level = not truth["rt60"] and truth["snr"] is None
    if truth["setup"] in ("nos", "ms"):
        return 0.5
    return {"panned": 4.0, "xy": 0.25}.get(truth["setup"], 1.0) if by_level else 1.0


def _summarise(truth: dict[str, Any], kind: str, limit: float) -> dict[str, Any]:
    return {
        "setup": kind,
        "limit": limit,
        "rt60": truth["rt60_s"],
        "snr": truth["snr_db"],
        "moving": truth["moving"],
        "azimuths": [source["azimuth_deg"] for source in truth["sources"]],
    }


def _make_targets(truths: list[dict[str, Any]]) -> tuple[NDArray, NDArray]:
    """(scenes, 91) peaks of height 1 where sources are, and (scenes,) their number minus one."""
    positions = np.arange(91)
    heat = np.zeros((len(truths), 91), np.float32)
    for row, truth in zip(heat, truths, strict=True):
        for azimuth in truth["azimuths"]:
            peak = np.exp(-0.5 * ((positions - (azimuth / truth["limit"] + 1) * 45) / SIGMA) ** 2)
            np.maximum(row, peak, out=row)
    return heat, np.array([min(len(truth["azimuths"]), 4) - 1 for truth in truths])


def _load(files: list[Path]) -> Scenes:
    parts = [np.load(file, allow_pickle=False) for file in files]
    return Scenes(
        np.concatenate([part["features"] for part in parts]),
        np.concatenate([part["maps"] for part in parts]),
        [truth for part in parts for truth in json.loads(str(part["truths"]))],
    )


if __name__ == "__main__":
    app()
