"""Combine published parts in one model folder: `audiotoken assemble` with the keys of configs/assemble.yaml.

python -m experiments.assemble base=sd-folder encoder=beats:BEATs.pt embedder=embedder.bin output=model
"""

from experiments.hydra_cli import run_from_config


def main() -> None:
    run_from_config("assemble", "audiotoken.assembly.assemble.assemble")


if __name__ == "__main__":
    main()
