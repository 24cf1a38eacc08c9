"""Draw pictures from a clip: `audiotoken generate` with the keys of configs/generate.yaml.

python -m experiments.generate clip=dog.wav output=dog.png seed=3
"""

from audiotoken.tasks.generate import format_summary, generate
from experiments.hydra_cli import run_from_config


def main() -> None:
    run_from_config("generate", generate, call=lambda c: format_summary(generate(**c), c["output"], c["report"]))


if __name__ == "__main__":
    main()
