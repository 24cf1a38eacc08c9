"""`audiotoken rate`: serve the page until Ctrl-C, or write the table of the answers."""

from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from audiotoken import rating
from audiotoken.errors import OptionError
from audiotoken.rating.store import FILE, Store
from audiotoken.rating.study import read_study
from audiotoken.rating.table import compute_rows, format_csv, format_latex, format_markdown
from audiotoken.rating.trials import RequestError, Trials, normalise_name
from audiotoken.serving import require_gradio, run_page
from audiotoken.writing import check_output, encode_text, write_bytes

if TYPE_CHECKING:
    import gradio as gr

PORTS = (0, 65535)


def serve(
    folder: Path, *, port: int = 0, rater: str | None = None, seed: int = 0, on_ready: Callable[[str], None]
) -> str:
    """Serve the page until Ctrl-C and return a summary; `on_ready(url)` is called when the page can be opened.

    `port`: 0 for a free one. Raises OptionError if an option or the folder is wrong or Gradio is missing.
    """
    if not PORTS[0] <= port <= PORTS[1]:
        raise OptionError(f"Got port={port}, expected {PORTS[0]} to {PORTS[1]}; change it.")
    name = _check_name(rater)
    study = read_study(folder)
    require_gradio()
    with closing(Store(folder / FILE)) as store:

        def start(files: Path) -> "gr.Blocks":
            return rating.app.serve(Trials(study, store, files, seed), rater=name, port=port)

        with suppress(KeyboardInterrupt):
            run_page(start, on_ready=on_ready, exit_code=0)
        count = len(store.answers())
    return f"stored {count} answers in {folder / FILE}\nnext   audiotoken rate {folder} --table"


def export(folder: Path, *, seed: int = 0) -> str:
    """Write ratings.md, .csv and .tex into the folder; return the first and the paths as text."""
    path, advice = folder / FILE, f"run `audiotoken rate {folder}` first"
    if not path.is_file():
        raise OptionError(f"Found no answers in {folder}, expected {FILE}; {advice}.")
    with closing(Store(path)) as store:
        rows = compute_rows(store.answers(), seed)
    if not rows:
        raise OptionError(f"Found no answers in {path}, expected at least one; {advice}.")
    texts = {".md": format_markdown(rows), ".csv": format_csv(rows), ".tex": format_latex(rows)}
    for suffix, text in texts.items():
        output = folder / f"ratings{suffix}"
        check_output(output, (suffix,))
        write_bytes(encode_text(text), output)
    return "\n".join([texts[".md"], *(f"wrote  {folder / f'ratings{suffix}'}" for suffix in texts)])


def _check_name(rater: str | None) -> str:
    try:
        return "" if rater is None else normalise_name(rater)
    except RequestError:
        raise OptionError(f"Got rater={rater!r}, expected a name of 1 to 40 letters; change it.") from None
