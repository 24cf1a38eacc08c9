"""What the commands share: a bar on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager


class Bar:
    """What is done of how much and how long it will take, on stderr when that is a terminal; gone when it is done."""

    def __init__(self, doing: str = "drawing") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self.shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.doing = doing
        self.task = self.shown.add_task("loading", total=None)

    def update(self, done: float, total: int) -> None:
        self.shown.update(self.task, description=self.doing, completed=done, total=total)

    def say(self, sentence: str) -> None:
        self.shown.console.print(sentence)


@contextmanager
def progress(doing: str = "drawing") -> Iterator[Bar]:
    bar = Bar(doing)
    with bar.shown:
        yield bar
