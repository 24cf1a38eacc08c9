"""Encode a data set once for training: `audiotoken prepare` with Hydra's command line.

python -m experiments.prepare source=pairs source.folder=clips output=prepared/clips model=sd14-beats
"""

from audiotoken.cli.composing import FUNCTIONS, prepare_from_config
from experiments.hydra_cli import run_from_config


def main() -> None:
    run_from_config("prepare", FUNCTIONS["prepare"], configs="audiotoken.configs", call=prepare_from_config)


if __name__ == "__main__":
    main()
