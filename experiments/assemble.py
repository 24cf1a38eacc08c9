"""Parts from here and there -> one folder: `audiotoken assemble` with the keys of configs/assemble.yaml.

    python -m experiments.assemble base=sd-folder encoder=beats:BEATs.pt embedder=embedder.bin output=model

The keys are those of its configuration, assemble.yaml.
"""

from audiotoken.assembly.assemble import assemble
from experiments.door import hydra_entry


def main() -> None:
    hydra_entry("assemble", assemble)


if __name__ == "__main__":
    main()
