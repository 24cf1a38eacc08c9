"""A data set -> shards of what the frozen parts say of it: `audiotoken prepare` with Hydra's command line.

    python -m experiments.prepare source=pairs source.folder=clips output=prepared/clips model=sd14-beats

The keys are those of its configuration, prepare.yaml.
"""

from typing import Any

from audiotoken.cli.composing import instantiate_source
from audiotoken.errors import OptionError
from audiotoken.tasks.prepare import prepare, say_progress
from audiotoken.tasks.sentences import errors_as_sentences
from experiments.door import run_hydra


def main() -> None:
    import hydra
    from omegaconf import OmegaConf

    @hydra.main(version_base=None, config_path="pkg://audiotoken.configs", config_name="prepare")
    def run(config: Any) -> None:
        with errors_as_sentences():
            if OmegaConf.is_missing(config, "output") or config.get("source") is None:
                raise OptionError(
                    "Got no data or no output, want both; say source=pairs source.folder=DATA output=OUT."
                )
            values: Any = OmegaConf.to_container(config, resolve=True)
            source = instantiate_source(values.pop("source"))
            print(prepare(source, **values, **say_progress()))

    run_hydra(run)


if __name__ == "__main__":
    main()
