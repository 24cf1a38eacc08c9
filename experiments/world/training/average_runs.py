"""Average the UNets of two runs that began from the same weights: a model soup.

python -m experiments.world.training.average_runs --runs runs/before runs/mini --out runs/average

After the learning rate of one run has fallen to zero, another goes on from the weights before that fall. The mean of
both ends can draw better than either (Wortsman et al. 2022, *Model soups*, arXiv 2203.05482).
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

from experiments.world.training import workers

STAGES = ("autoencoder.pt", "decoder.pt", "tokenizer")  # that both runs share


def average_states(first: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    """`last`, with the mean of both in place of each averaged weight; counters are left as they are.

    Raises ValueError if the networks, the widths of their averages or the scales of their latents differ.
    """
    kinds = [[(e["decay"], {k: v.shape for k, v in e["weights"].items()}) for e in s["emas"]] for s in (first, last)]
    if kinds[0] != kinds[1] or first["scale"] != last["scale"]:
        raise ValueError("The runs do not share one network and one autoencoder; give two runs with the same start.")
    for before, after in zip(first["emas"], last["emas"], strict=True):
        for name, weights in after["weights"].items():
            if weights.is_floating_point():
                after["weights"][name] = (before["weights"][name] + weights) / 2
    return last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, nargs=2, required=True, help="folders with unet.pt, the older one first")
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")
    args = parser.parse_args()
    if args.out.exists():
        parser.error(f"{args.out} exists; give a new folder.")
    first, last = (workers.load_state(run / "unet.pt") for run in args.runs)
    if first is None or last is None:
        parser.error(f"one of {args.runs[0]} and {args.runs[1]} has no unet.pt; run `train_unet` first.")
    try:
        averaged = average_states(first, last)
    except ValueError as error:
        parser.error(str(error))
    args.out.mkdir(parents=True)
    for stage in STAGES:
        path = args.runs[1] / stage
        if path.is_dir():
            shutil.copytree(path, args.out / stage)
        elif path.exists():
            shutil.copy(path, args.out)
    workers.save_state(averaged, args.out / "unet.pt")


if __name__ == "__main__":
    main()
