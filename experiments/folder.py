"""A folder of clips -> a folder of pictures: `audiotoken generate CLIPS` with the keys of configs/folder.yaml.

    python -m experiments.folder clips=clips output=pictures count=2

The keys are those of its configuration, folder.yaml.
"""

from audiotoken.tasks.folder import draw_folder
from experiments.door import hydra_entry


def main() -> None:
    hydra_entry("folder", draw_folder)


if __name__ == "__main__":
    main()
