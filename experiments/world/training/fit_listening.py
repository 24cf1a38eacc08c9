"""Fit the two networks of `spatial`: one recognises the stereo setup, one localises and counts sources.

    python -m experiments.world.training.fit_listening setups runs/features/train
    python -m experiments.world.training.fit_listening directions runs/features/train

The folders are those of `listening_features`. The commands write `spatial/recognise.npz` and `spatial/heatmap.npz`,
which `measure_listening` measures. Only this file needs torch; the package multiplies the matrices itself.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.world.training.measure_listening import load_features
from spatial.maps import COUNT, MAPS, TIMED
from spatial.setups import NAMES

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
CLASSES = (*NAMES, "other")
SIGMA = 2.0  # grid steps: width of the target peaks
NOISE = 0.05  # added to the standardised maps in training
CHANNELS, HIDDEN, DROP = 16, 40, 0.15
BATCH, LEARNING_RATE = 64, 2e-3
ACTIVITY, VALIDITY = 0.3, 0.5  # weights of these losses beside that of the presence

Folder = Annotated[Path, typer.Argument(help="Folder of shards by listening_features.")]
Into = Annotated[Path, typer.Option(help="Folder for the weights.")]


# ------------------------------------------------------------------------------------------------- the setup


@app.command("setups")
def fit_setups(
    folder: Folder,
    into: Into = Path("spatial"),
    seed: int = 0,
    epochs: int = 40,
    hidden: int = 64,
) -> None:
    """Fit a network with one hidden layer from cues to the setup, or to "other": stereo that is none of these."""
    torch.manual_seed(seed)
    scenes = load_features(folder)
    mean, scale = scenes.features.mean(axis=0), scenes.features.std(axis=0) + 1e-3
    inputs = torch.tensor(np.clip((scenes.features - mean) / scale, -6, 6))
    targets = torch.tensor([CLASSES.index(truth["setup"]) for truth in scenes.scenes])
    weights = torch.tensor([weigh(truth) for truth in scenes.scenes])
    net = nn.Sequential(
        nn.Dropout(0.1), nn.Linear(inputs.shape[1], hidden), nn.ReLU(), nn.Dropout(0.4), nn.Linear(hidden, len(CLASSES))
    )
    optimiser = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    steps = epochs * (len(inputs) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps + 1)
    for step in range(steps):
        if step % (len(inputs) // BATCH) == 0:
            order = torch.randperm(len(inputs))
        chosen = order[(step % (len(inputs) // BATCH)) * BATCH :][:BATCH]
        scores = net(inputs[chosen] + 0.1 * torch.randn(len(chosen), inputs.shape[1]))
        loss = F.cross_entropy(scores, targets[chosen], reduction="none", label_smoothing=0.02)
        loss = (loss * weights[chosen]).sum() / weights[chosen].sum()
        optimiser.zero_grad(), loss.backward(), optimiser.step(), schedule.step()
    first, second = net[1], net[4]
    arrays = {
        "mean": mean,
        "scale": scale,
        "first": first.weight.T,
        "bias": first.bias,
        "second": second.weight.T,
        "offset": second.bias,
    }
    small = {key: np.asarray(each.detach() if isinstance(each, Tensor) else each) for key, each in arrays.items()}
    kept = {key: each.astype(np.float16 if key == "first" else np.float32) for key, each in small.items()}
    np.savez_compressed(into / "recognise.npz", allow_pickle=False, **kept, classes=np.array(CLASSES, "U16"))


def weigh(truth: dict[str, Any]) -> float:
    """A dry recording that has only level differences may be panned or XY: there the more common one wins."""
    dry = not truth["rt60"]
    return {"panned": 4.0, "xy": 0.25}.get(truth["setup"], 1.0) if dry else 1.0


# ------------------------------------------------------------------------------------------------- directions


class Net(nn.Module):
    """The network of `spatial.learned.predict_heatmap`, with the same names."""

    def __init__(self) -> None:
        super().__init__()
        self.t1 = nn.Conv2d(TIMED, CHANNELS, (3, 5), padding=(1, 2))
        self.t2 = nn.Conv2d(CHANNELS, CHANNELS, (3, 5), padding=(1, 2))
        self.activity = nn.Conv2d(CHANNELS, 1, 1)
        self.a = nn.Conv1d(MAPS + 3 * CHANNELS + 2, HIDDEN, 5, padding=2)
        self.b = nn.Conv1d(HIDDEN, HIDDEN, 9, padding=4)
        self.c = nn.Conv1d(HIDDEN, HIDDEN, 9, padding=8, dilation=2)
        self.heat = nn.Conv1d(HIDDEN, 1, 1)
        self.count = nn.Linear(2 * HIDDEN, 4)
        self.valid = nn.Linear(2 * HIDDEN, 1)
        self.drop = nn.Dropout(DROP)

    def forward(self, overall: Tensor, timed: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(n, MAPS, COUNT), (n, TIMED, blocks, COUNT) -> logits of presence (n, COUNT), of activity (n, blocks, COUNT),
        of the number (n, 4), and of whether the assumed setup is right (n,)."""
        hidden = torch.relu(self.t1(timed))
        hidden = torch.relu(self.t2(hidden)) + hidden
        active = self.activity(hidden)[:, 0]
        most = -(-timed.shape[2] // 4)
        best = hidden.topk(most, dim=2).values.mean(2)
        share = torch.sigmoid(active)
        shares = torch.stack([share.mean(1), share.topk(most, dim=1).values.mean(1)], 1)
        x = torch.cat([overall, hidden.mean(2), best, hidden.amax(2), shares], 1)
        x = self.drop(torch.relu(self.a(x)))
        x = self.drop(torch.relu(self.b(x)) + x)
        x = torch.relu(self.c(x)) + x
        pooled = torch.cat([x.mean(2), x.amax(2)], 1)
        return self.heat(x)[:, 0], active, self.count(pooled), self.valid(pooled)[:, 0]


@app.command("directions")
def fit_directions(
    folder: Folder,
    into: Into = Path("spatial"),
    seed: int = 0,
    epochs: int = 14,
) -> None:
    """Fit the convolutions from maps to presence, activity, number and validity."""
    torch.manual_seed(seed)
    scenes = load_features(folder)
    overall, timed = scenes.overall, scenes.timed
    mean = (
        overall.astype(np.float32).mean(axis=(0, 2))[:, None],
        timed.astype(np.float32).mean(axis=(0, 2, 3))[:, None, None],
    )
    scale = (
        overall.astype(np.float32).std(axis=(0, 2))[:, None] + 1e-3,
        timed[::4].astype(np.float32).std(axis=(0, 2, 3))[:, None, None] + 1e-3,
    )
    heats, actives, counts, right = make_targets(scenes.truths, timed.shape[2])
    net, steps = Net(), epochs * (len(overall) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps + 1)
    for step in range(steps):
        if step % (len(overall) // BATCH) == 0:
            order = np.random.default_rng([seed, step]).permutation(len(overall))
        chosen = order[(step % (len(overall) // BATCH)) * BATCH :][:BATCH]
        x = torch.tensor((overall[chosen].astype(np.float32) - mean[0]) / scale[0])
        z = torch.tensor((timed[chosen].astype(np.float32) - mean[1]) / scale[1])
        heat, active = torch.tensor(heats[chosen]), torch.tensor(actives[chosen].astype(np.float32))
        if step % 2:  # the mirror image
            x, z, heat, active = x.flip(2), z.flip(3), heat.flip(1), active.flip(2)
        presence, activity, number, valid = net(x + NOISE * torch.randn_like(x), z + NOISE * torch.randn_like(z))
        use = torch.tensor(right[chosen])
        loss = F.binary_cross_entropy_with_logits(presence[use], heat[use], reduction="none").sum(1).mean()
        loss = loss + F.cross_entropy(number[use], torch.tensor(counts[chosen])[use])
        loss = (
            loss
            + ACTIVITY * F.binary_cross_entropy_with_logits(activity[use], active[use], reduction="none").sum(2).mean()
        )
        loss = loss + VALIDITY * F.binary_cross_entropy_with_logits(valid, use.float())
        optimiser.zero_grad(), loss.backward(), optimiser.step(), schedule.step()
        if step % 200 == 0:
            typer.echo(f"step {step}/{steps} loss {loss.item():.3f}")
    arrays = {
        key: each.numpy().astype(np.float16 if each.numel() > 200 else np.float32)
        for key, each in net.state_dict().items()
    }
    numbers = {"mean": mean[0], "scale": scale[0], "timed_mean": mean[1], "timed_scale": scale[1]}
    np.savez_compressed(
        into / "heatmap.npz", allow_pickle=False, **arrays, **{k: v.astype(np.float32) for k, v in numbers.items()}
    )


def make_targets(truths: list[dict[str, Any]], blocks: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """(n, COUNT) peaks of height 1 where sources are, the same for each block, the number minus one, right or wrong."""
    grid = np.arange(COUNT)
    heat = np.zeros((len(truths), COUNT), np.float32)
    active = np.zeros((len(truths), blocks, COUNT), np.float16)
    for number, truth in enumerate(truths):
        for azimuth, spans in zip(truth["azimuths"], truth["active"], strict=True):
            at = (np.clip(azimuth / truth["limit"], -1, 1) + 1) * (COUNT - 1) / 2
            peak = np.exp(-0.5 * ((grid - at) / SIGMA) ** 2)
            np.maximum(heat[number], peak, out=heat[number])
            during = np.resize(spans + [spans[-1]] * blocks, blocks)[:, None] * peak
            active[number] = np.maximum(active[number], during)
    counts = np.array([min(len(truth["azimuths"]), 4) - 1 for truth in truths])
    return heat, active, counts, np.array([truth["right"] for truth in truths])


if __name__ == "__main__":
    app()
