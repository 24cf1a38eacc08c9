"""`audiotoken rate`: the page until Ctrl-C, or the table of what was answered."""

from collections.abc import Callable
from pathlib import Path

from audiotoken.errors import OptionError
from audiotoken.rating.server import RatingServer
from audiotoken.rating.store import FILE, Store
from audiotoken.rating.study import read_study
from audiotoken.rating.table import as_csv, as_markdown, rows_of
from audiotoken.rating.trials import RequestError, Trials, rater_name
from audiotoken.writing import check_output, write_bytes

PORTS = (0, 65535)


def serve(
    folder: Path, *, port: int = 0, rater: str | None = None, seed: int = 0, on_ready: Callable[[str], None]
) -> str:
    """The page until Ctrl-C; `on_ready(url)` is called once it can be opened. What came of it, as text."""
    if not PORTS[0] <= port <= PORTS[1]:
        raise OptionError(f"Got port={port}, want {PORTS[0]} to {PORTS[1]}; change it.")
    name = _checked(rater)
    trials = Trials(read_study(folder), Store(folder / FILE), seed)
    try:
        with RatingServer(trials, port=port, rater=name) as server:
            on_ready(server.url)
            server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        count = len(trials.store.answers())
        trials.store.close()
    return f"stored {count} answers in {folder / FILE}\nnext   audiotoken rate {folder} --table"


def export(folder: Path, *, seed: int = 0) -> str:
    """ratings.md and ratings.csv in the folder; the first of them, as text."""
    if not (folder / FILE).is_file():
        raise OptionError(f"Got no answers in {folder}, want {FILE}; run `audiotoken rate {folder}` first.")
    store = Store(folder / FILE)
    rows = rows_of(store.answers(), seed)
    store.close()
    if not rows:
        raise OptionError(f"Got no answers in {folder / FILE}, want some; run `audiotoken rate {folder}` first.")
    texts = {".md": as_markdown(rows), ".csv": as_csv(rows)}
    for suffix, text in texts.items():
        path = folder / f"ratings{suffix}"
        check_output(path, (suffix,))
        write_bytes(text.encode(), path)
    return texts[".md"] + f"\nwrote  {folder / 'ratings.md'}\nwrote  {folder / 'ratings.csv'}"


def _checked(rater: str | None) -> str:
    try:
        return "" if rater is None else rater_name(rater)
    except RequestError:
        raise OptionError(f"Got rater={rater!r}, want a name of 1 to 40 letters; change it.") from None
