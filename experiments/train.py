"""Train an embedder: `audiotoken train` with Hydra's command line, on one GPU or several.

    python -m experiments.train data=prepared/vggsound model=sd14-beats out=runs/paper
    accelerate launch -m experiments.train data=prepared/vggsound out=runs/paper

The keys are those of its configuration, train.yaml.
"""

from typing import Any

from audiotoken.cli.composing import instantiate_source
from audiotoken.errors import OptionError
from audiotoken.tasks.sentences import errors_as_sentences
from audiotoken.tasks.train import show_progress, train
from experiments.door import run_hydra


def main() -> None:
    import hydra

    @hydra.main(version_base=None, config_path="pkg://audiotoken.configs", config_name="train")
    def run(config: Any) -> None:
        with errors_as_sentences(), show_progress(config.settings.steps) as on_progress:
            folder = train(**options(config), on_progress=on_progress)
            print(f"embedder {folder}")

    run_hydra(run)


def options(config: Any) -> dict[str, Any]:
    """Of a composed config -> the parameters of `train`; the source is made here, as nothing below sees Hydra."""
    from omegaconf import OmegaConf

    if missing := sorted(OmegaConf.missing_keys(config)):
        raise OptionError(f"Got no {', '.join(missing)}; say {missing[0]}=... as well.")
    values: Any = OmegaConf.to_container(config, resolve=True)
    source = values.pop("source", None)
    if (values["data"] is None) == (source is None):
        raise OptionError(
            "Want either data=FOLDER, made by experiments.prepare, or source=pairs, esc, vggsound or web."
        )
    return {**values, "data": values["data"] if source is None else instantiate_source(source)}


if __name__ == "__main__":
    main()
