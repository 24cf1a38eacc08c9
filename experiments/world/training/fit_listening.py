"""Fit the two networks of `spatial`: one recognises the stereo setup, one localises and counts sources.

    python -m experiments.world.training.fit_listening setups runs/features/train
    python -m experiments.world.training.fit_listening directions runs/features/train

The folders are those of `listening_features`. The commands write `spatial/recognise.npz` and `spatial/heatmap.npz`,
which `measure_listening` measures. Only this file needs torch; the package multiplies the matrices itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.world.training.measure_listening import Features, load_features
from spatial.learned import Network, load_network
from spatial.maps import COUNT, MAPS, TIMED
from spatial.setups import NAMES

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
CLASSES = (*NAMES, "other")
SIGMA = 2.0  # grid steps: width of the target peaks
NOISE = 0.05  # added to the standardised maps in training
UNITS, CHANNELS, HIDDEN, DROP = 64, 24, 64, 0.15
BATCH, LEARNING_RATE = 64, 2e-3
ACTIVITY, VALIDITY = 0.3, 0.5  # weights of these losses beside that of the presence

Folder = Annotated[Path, typer.Argument(help="Folder of shards by listening_features.")]
Into = Annotated[Path, typer.Option(help="Folder for the weights.")]


# ------------------------------------------------------------------------------------------------- the setup


@app.command("setups")
def fit_setups(
    folder: Folder,
    into: Into = Path("spatial"),
    further: Annotated[bool, typer.Option(help="Go on from the network that ships, as one.")] = False,
    seed: int = 0,
    epochs: int = 40,
    nets: int = 3,
    peak: float = LEARNING_RATE,
) -> None:
    """Fit networks with one hidden layer from cues to the setup, or to "other", and write their mean as one network."""
    scenes = load_features(folder)
    shipped = load_network("recognise") if further else None
    mean, scale = scenes.features.mean(axis=0), scenes.features.std(axis=0) + 1e-3
    if shipped:
        mean, scale, nets = shipped.mean, shipped.scale, 1
    inputs = torch.tensor(np.clip((scenes.features - mean) / scale, -6, 6))
    targets = torch.tensor([CLASSES.index(truth["setup"]) for truth in scenes.scenes])
    weights = torch.tensor([weigh(truth) for truth in scenes.scenes])
    fitted = [
        train_classifier(inputs, targets, weights, seed + each, epochs, start=shipped, peak=peak)
        for each in range(nets)
    ]
    save_classifiers(fitted, mean, scale, CLASSES, into / "recognise.npz")


def save_classifiers(
    fitted: list[nn.Sequential], mean: NDArray, scale: NDArray, classes: Sequence[str], path: Path
) -> None:
    """Write the mean of networks of `train_classifier` as one network, a `spatial.learned.Network`."""
    states = [net.state_dict() for net in fitted]
    arrays = {
        "mean": mean,
        "scale": scale,
        "first": torch.cat([state["1.weight"] for state in states]).T,
        "bias": torch.cat([state["1.bias"] for state in states]),
        "second": torch.cat([state["4.weight"] for state in states], 1).T / len(states),
        "offset": torch.stack([state["4.bias"] for state in states]).mean(0),
    }
    small = {key: np.asarray(each) for key, each in arrays.items()}
    kept = {key: each.astype(np.float16 if key == "first" else np.float32) for key, each in small.items()}
    np.savez_compressed(path, allow_pickle=False, **kept, classes=np.array(classes, "U16"))


def train_classifier(
    inputs: Tensor,
    targets: Tensor,
    weights: Tensor,
    seed: int,
    epochs: int,
    classes: int = len(CLASSES),
    start: Network | None = None,
    peak: float = LEARNING_RATE,
) -> nn.Sequential:
    """Train one network on standardised features (scenes, features), with a weight for each scene."""
    torch.manual_seed(seed)
    units = len(start.bias) if start else UNITS
    net = nn.Sequential(
        nn.Dropout(0.1), nn.Linear(inputs.shape[1], units), nn.ReLU(), nn.Dropout(0.4), nn.Linear(units, classes)
    )
    if start:
        values = {"1.weight": start.first.T, "1.bias": start.bias, "4.weight": start.second.T, "4.bias": start.offset}
        net.load_state_dict({name: torch.tensor(value.astype(np.float32)) for name, value in values.items()})
    optimiser = torch.optim.AdamW(net.parameters(), lr=peak, weight_decay=0.05)
    batches = max(1, len(inputs) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak, total_steps=epochs * batches + 1)
    for _ in range(epochs):
        for chosen in torch.randperm(len(inputs))[: batches * BATCH].split(BATCH):
            scores = net(inputs[chosen] + 0.1 * torch.randn(len(chosen), inputs.shape[1]))
            loss = F.cross_entropy(scores, targets[chosen], reduction="none", label_smoothing=0.02)
            loss = (loss * weights[chosen]).sum() / weights[chosen].sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net


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


@dataclass(frozen=True, eq=False)
class Scale:
    """Means and deviations that standardise the maps."""

    mean: NDArray  # (MAPS, 1)
    scale: NDArray
    timed_mean: NDArray  # (TIMED, 1, 1)
    timed_scale: NDArray

    def standardise(self, overall: NDArray, timed: NDArray) -> tuple[Tensor, Tensor]:
        one, two = (overall - self.mean) / self.scale, (timed - self.timed_mean) / self.timed_scale
        return torch.tensor(one.astype(np.float32)), torch.tensor(two.astype(np.float32))


def measure_scale(scenes: Features) -> Scale:
    """Measure means and deviations, of the timed maps on every fourth scene."""
    overall, timed = scenes.overall.astype(np.float32), scenes.timed[::4].astype(np.float32)
    return Scale(
        overall.mean(axis=(0, 2))[:, None],
        overall.std(axis=(0, 2))[:, None] + 1e-3,
        timed.mean(axis=(0, 2, 3))[:, None, None],
        timed.std(axis=(0, 2, 3))[:, None, None] + 1e-3,
    )


@app.command("directions")
def fit_directions(
    folder: Folder,
    into: Into = Path("spatial"),
    start: Annotated[Path | None, typer.Option(help="Weights (heatmap.npz) to go on from.")] = None,
    seed: int = 0,
    epochs: int = 14,
    peak: float = LEARNING_RATE,
) -> None:
    """Fit the convolutions from maps to presence, activity, number and validity."""
    torch.manual_seed(seed)
    scenes, net = load_features(folder), Net()
    scale = load_weights(net, start) if start else measure_scale(scenes)
    heats, actives, counts, right = make_targets(scenes.truths, scenes.timed.shape[2])
    placed = right & np.array([truth["usual"] for truth in scenes.truths])
    batches = max(1, len(right) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=peak, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak, total_steps=epochs * batches + 1)
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(right))[: batches * BATCH]
        total = 0.0
        for step, chosen in enumerate(np.split(order, batches)):
            x, z = scale.standardise(scenes.overall[chosen], scenes.timed[chosen])
            heat, active = torch.tensor(heats[chosen]), torch.tensor(actives[chosen].astype(np.float32))
            if (step + epoch) % 2:  # the mirror image
                x, z, heat, active = x.flip(2), z.flip(3), heat.flip(1), active.flip(2)
            answers = net(x + NOISE * torch.randn_like(x), z + NOISE * torch.randn_like(z))
            loss = compute_loss(
                answers,
                heat,
                active,
                torch.tensor(counts[chosen]),
                *(torch.tensor(each[chosen]) for each in (right, placed)),
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        typer.echo(f"epoch {epoch + 1}/{epochs} loss {total / batches:.3f}")
    save_weights(net, scale, into / "heatmap.npz")


def compute_loss(
    answers: tuple[Tensor, Tensor, Tensor, Tensor],
    heat: Tensor,
    active: Tensor,
    counts: Tensor,
    right: Tensor,
    placed: Tensor,
) -> Tensor:
    """Cross-entropies of all four answers; of validity alone where azimuths are not `placed` as they are assumed."""
    presence, activity, number, valid = answers
    loss = VALIDITY * F.binary_cross_entropy_with_logits(valid, right.float())
    if not placed.any():
        return loss
    each = F.binary_cross_entropy_with_logits(presence[placed], heat[placed], reduction="none").sum(1).mean()
    timed = F.binary_cross_entropy_with_logits(activity[placed], active[placed], reduction="none").sum(2).mean()
    return loss + each + ACTIVITY * timed + F.cross_entropy(number[placed], counts[placed])


def load_weights(net: Net, path: Path) -> Scale:
    """Load weights into the network, and return the scale that belongs to them."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    scale = Scale(*(arrays.pop(name) for name in ("mean", "scale", "timed_mean", "timed_scale")))
    net.load_state_dict({key: torch.tensor(value.astype(np.float32)) for key, value in arrays.items()})
    return scale


def save_weights(net: Net, scale: Scale, path: Path) -> None:
    """Write weights in half precision, with their scale."""
    arrays = {
        key: each.numpy().astype(np.float16 if each.numel() > 200 else np.float32)
        for key, each in net.state_dict().items()
    }
    np.savez_compressed(path, allow_pickle=False, **arrays, **{k: v.astype(np.float32) for k, v in vars(scale).items()})


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
