"""A clip -> pictures on the disk: `audiotoken generate` with the keys of configs/generate.yaml.

    python -m experiments.generate clip=dog.wav output=dog.png seed=3

The keys are those of its configuration, generate.yaml.
"""

from audiotoken.tasks.generate import generate, say_written
from experiments.door import hydra_entry


def main() -> None:
    hydra_entry("generate", lambda **config: say_written(generate(**config), config["output"], config["report"]))


if __name__ == "__main__":
    main()
