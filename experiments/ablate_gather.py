"""Hydra's callback at the end of a sweep."""

from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback


class Gather(Callback):
    """Tables, plots and gallery of the experiment that was swept; `failed` says which runs went wrong."""

    failed: ClassVar[list[str]] = []

    def on_multirun_end(self, config: Any, **kwargs: Any) -> None:
        from experiments.results import gather

        report = gather(Path(config.out) / config.name)
        Gather.failed += report.failed
        print(report.text)
