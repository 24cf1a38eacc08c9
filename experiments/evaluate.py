"""Score how well pictures match sounds: `audiotoken evaluate` with Hydra's command line.

python -m experiments.evaluate clips=clips n=40 out=runs/evaluated
"""

from audiotoken.cli.composing import FUNCTIONS
from experiments.hydra_cli import run_from_config


def main() -> None:
    run_from_config("evaluate", FUNCTIONS["evaluate"], configs="audiotoken.configs")


if __name__ == "__main__":
    main()
