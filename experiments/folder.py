"""Draw pictures from a folder of clips: `audiotoken generate CLIPS` with the keys of configs/folder.yaml.

python -m experiments.folder clips=clips output=pictures count=2
"""

from experiments.hydra_cli import run_from_config


def main() -> None:
    run_from_config("folder", "audiotoken.tasks.folder.draw_folder")


if __name__ == "__main__":
    main()
