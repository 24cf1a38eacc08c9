"""Fit the network of `spatial.counting`: how many of the peaks of the directions' network are sources.

    python -m experiments.world.training.fit_counting --pool runs/pool.npz --bank runs/responses

It records scenes as `listening_features` does and looks at them with `spatial/heatmap.npz`, which is fitted before by
`fit_listening directions`. It writes `spatial/counting.npz`.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from experiments.world.training.fit_listening import save_classifiers, train_classifier
from experiments.world.training.listening_features import draw_recording, draw_true_setup
from experiments.world.training.recordings import Recorder, TrueRecording, read_pool
from experiments.world.training.responses import RATE
from spatial.counting import PEAKS, compute_cues
from spatial.evidence import gather
from spatial.learned import predict_heatmap
from spatial.localisation import pick_peaks
from spatial.maps import compute_maps
from spatial.setups import Setup

CLASSES = tuple(str(number) for number in range(1, PEAKS + 1))
PRIOR = (4.0, 2.0, 1.0, 1.0)  # how much likelier each number counts than in the scenes: ghosts harm more than misses
EPOCHS, NETS = 30, 4

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


def read_cues(recorded: TrueRecording, setup: Setup) -> NDArray[np.float32]:
    """The cues of the number of sources, given the setup."""
    evidence = gather(recorded.recording, RATE)
    answer = predict_heatmap(compute_maps(evidence, setup))
    return compute_cues(evidence, setup, answer, pick_peaks(answer, PEAKS)).astype(np.float32)


def draw_cues(recorder: Recorder, scenes: int, seed: int, plain: float, hard: float) -> tuple[NDArray, NDArray]:
    """(scenes, cues) and the numbers of their sources minus one, of scenes that are of a known setup."""
    rows, numbers = [], []
    for index in range(scenes):
        rng = np.random.default_rng([seed, index])
        recorded = draw_recording(recorder, rng, plain, hard)
        if recorded.setup != "other" and recorded.facts["usual"]:
            rows.append(read_cues(recorded, draw_true_setup(recorded, rng)))
            numbers.append(len(recorded.azimuths) - 1)
    return np.stack(rows), np.array(numbers)


def fit_counting(cues: NDArray, numbers: NDArray, path: Path, seed: int = 0, epochs: int = EPOCHS) -> None:
    """Fit networks to cues (scenes, cues) and numbers of sources minus one, and write them as one."""
    mean, scale = cues.mean(axis=0), cues.std(axis=0) + 1e-3
    inputs = torch.tensor(np.clip((cues - mean) / scale, -6, 6).astype(np.float32))
    targets, weights = torch.tensor(numbers), torch.ones(len(numbers))
    fitted = [train_classifier(inputs, targets, weights, seed + each, epochs, len(CLASSES)) for each in range(NETS)]
    for net in fitted:
        *_, bias = net.parameters()
        bias.data += torch.tensor(PRIOR).log()
    save_classifiers(fitted, mean, scale, CLASSES, path)


@app.command()
def main(
    pool: Annotated[Path, typer.Option(help="File of `recordings.save_pool`.")],
    bank: Annotated[Path, typer.Option(help="Folder of `responses`.")],
    into: Annotated[Path, typer.Option(help="Folder for the weights.")] = Path("spatial"),
    scenes: int = 8000,
    seed: int = 0,
    plain: Annotated[float, typer.Option(help="Share of scenes without noise and faults.")] = 0.3,
    hard: Annotated[float, typer.Option(help="Share of scenes in rooms, not at a desk, of the rest.")] = 0.4,
) -> None:
    """Record scenes, fit the network and write it."""
    recorder = Recorder(read_pool(pool), bank, shares=(0.7, 0.15, 0.15))
    fit_counting(*draw_cues(recorder, scenes, seed, plain, hard), into / "counting.npz", seed)


if __name__ == "__main__":
    app()
