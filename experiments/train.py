"""Train an embedder: `audiotoken train` with Hydra's command line, on one GPU or several.

python -m experiments.train data=prepared/vggsound model=sd14-beats out=runs/paper
accelerate launch -m experiments.train data=prepared/vggsound out=runs/paper
"""

from audiotoken.cli.composing import FUNCTIONS, train_from_config
from experiments.hydra_cli import run_from_config


def main() -> None:
    run_from_config(
        "train", FUNCTIONS["train"], configs="audiotoken.configs", call=lambda c: f"embedder {train_from_config(c)}"
    )


if __name__ == "__main__":
    main()
