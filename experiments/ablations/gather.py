"""Hydra's callback at the end of a sweep."""

from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback

from audiotoken.errors import OptionError
from experiments.ablations.summary import gather


class Gather(Callback):
    """Tables, plots and gallery of the experiment that was swept; `failed` lists the runs that failed."""

    failed: ClassVar[list[str]] = []

    def on_multirun_end(self, config: Any, **kwargs: Any) -> None:
        try:
            report = gather(Path(config.out) / config.name)
        except OptionError as error:  # every run failed before it could write a record
            Gather.failed.append(str(error))
            print(error)
            return
        Gather.failed += report.failed
        print(report.text)
