"""Thousands of odd inputs, each of which must be used or refused in a sentence.

    python -m tests.fuzz.run n=10000 seed=0 out=runs/fuzz
    python -m tests.fuzz.run seed=0 only=1234 out=runs/one    # one of them again
    python -m tests.fuzz.run of=kinds n=2000 out=runs/kinds   # by kinds of trouble that people had, over all commands

Input i of a seed is always the same. In the folder: results.jsonl, a line for each, and table.md; called again it goes
on where it was.
An input is *fine*, *refused* (a sentence of this project), or a *bug*: any other exception, NaN in what comes out, a
numerical warning, a file left half-written, a second gigabyte of memory, a crash of the process, or more than `limit`
seconds. Inputs that were bugs are kept in bugs/. On one core 10,000 take about twenty minutes.
"""

import json
import multiprocessing
import os
import shutil
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from audiotoken.errors import OptionError
from audiotoken.tables import markdown_table
from experiments.hydra_cli import run_from_signature

SHIFT = 2500  # inputs that a process lives: what leaks shows, and dies
LOADING = 900.0  # seconds until its libraries and the model are there: minutes on a busy machine
GROWTH = 1 << 30  # bytes that one input may raise the peak of memory by
LIBRARIES = 1 << 20  # KiB: what is imported and loaded by the first inputs, not theirs
READY = "ready"
FAMILIES = {"inputs": "tests.fuzz.cases", "kinds": "tests.fuzz.kinds"}
VERDICTS = ("fine", "refused", "bug")


def fuzz(
    *,
    n: int = 10_000,
    seed: int = 0,
    out: str = "runs/fuzz",
    only: int | None = None,
    cases: Sequence[str] | None = None,
    of: str = "inputs",
    limit: float = 120.0,
    on_row: Callable[[str], Any] = print,
) -> str:
    """Try inputs 0 to n -> the table.

    only: that input alone. cases: of these families alone, [read,listen]. of: "inputs" or "kinds", which says which
    families there are.
    """
    if of not in FAMILIES:
        raise OptionError(f"Got of={of}, expected one of {', '.join(FAMILIES)}; change it.")
    families = list_families(of)
    if n < 1 or limit <= 0:
        raise OptionError(f"Got n={n} and limit={limit:g}, expected at least 1 input and some seconds; change them.")
    chosen = list(cases or families)
    if not set(chosen) <= set(families):
        raise OptionError(f"Got cases={','.join(chosen)}, expected some of {','.join(families)}; change it.")
    folder = Path(out)
    (folder / "bugs").mkdir(parents=True, exist_ok=True)
    journal = folder / "results.jsonl"
    done = {row["input"]: row for row in _rows(journal)}
    wanted = [only] if only is not None else [i for i in range(n) if family(seed, i, of) in chosen and i not in done]
    with journal.open("a") as file:
        for row in _tried(seed, wanted, limit, folder, of):
            done[row["input"]] = row
            file.write(json.dumps(row) + "\n")
            file.flush()
            if row["verdict"] == "bug":
                on_row(f"{row['input']} {row['case']}: {row['said']} ({row['what']})")
    text = table(list(done.values()))
    (folder / "table.md").write_text(text + "\n")
    return text


def list_families(of: str) -> dict[str, Any]:
    """Name -> (case, how many of a thousand inputs), of "inputs" or "kinds"."""
    families: dict[str, Any] = import_module(FAMILIES[of]).CASES
    return families


def family(seed: int, i: int, of: str = "inputs") -> str:
    """Which case input i is."""
    families = list_families(of)
    shares = np.array([share for _, share in families.values()], float)
    return list(families)[int(generator(seed, i).choice(len(shares), p=shares / shares.sum()))]


def generator(seed: int, i: int) -> np.random.Generator:
    return np.random.default_rng([seed, i])


def attempt(seed: int, i: int, folder: Path, of: str = "inputs") -> dict[str, Any]:
    """Try input i in an empty folder -> its row."""
    name, families = family(seed, i, of), list_families(of)
    rng = generator(seed, i).spawn(1)[0]
    before, start = _peak(), time.perf_counter()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RuntimeWarning)
        verdict, said, what = judged(lambda: families[name][0](rng, folder))
    if verdict != "bug" and heard:
        verdict, said = "bug", f"{heard[0].message} at {Path(heard[0].filename).name}:{heard[0].lineno}"
    if verdict != "bug" and _peak() > max(LIBRARIES * 2, before) + GROWTH // 1024:
        verdict, said = "bug", f"took {(_peak() - before) >> 10} MiB of memory"
    seconds = round(time.perf_counter() - start, 3)
    return {"input": i, "case": name, "verdict": verdict, "said": said, "what": what[:1000], "seconds": seconds}


def judged(act: Callable[[], str]) -> tuple[str, str, str]:
    """(verdict, what was said, what the input was) of one call."""
    from audiotoken.tasks.sentences import USER_ERRORS

    try:
        return "fine", "", act()
    except Exception as error:
        what = " ".join(getattr(error, "__notes__", [""]))
        said = str(error)
        if isinstance(error, USER_ERRORS):
            whole = said.endswith(".") and len(said) < 1500  # line ends in names are escaped where it is printed
            return ("refused", said, what) if whole else ("bug", f"not one sentence: {said}", what)
        place = traceback.extract_tb(error.__traceback__)[-1]
        return "bug", f"{type(error).__name__}: {said} at {Path(place.filename).name}:{place.lineno}", what


def _tried(seed: int, wanted: Sequence[int], limit: float, folder: Path, of: str) -> Iterator[dict[str, Any]]:
    """Rows of inputs, from a process that may crash or hang; then that is the row, and the next begins a new one."""
    left = list(wanted)
    while left:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(seed, left[:SHIFT], folder, of, theirs), daemon=True)
        worker.start()
        theirs.close()
        if not ours.poll(LOADING) or ours.recv() != READY:
            raise OptionError(f"Nothing was ready after {LOADING:g} s; look at what else this machine does.")
        for i in left[:SHIFT]:
            row = _next(ours, worker, limit, i, family(seed, i, of))
            yield row
            left.remove(i)
            if row.get("ended"):
                break
        worker.kill()
        worker.join()


def _next(ours: Any, worker: Any, limit: float, i: int, case: str) -> dict[str, Any]:
    try:
        if ours.poll(limit):
            return ours.recv()
        said = f"took more than {limit:g} s"
    except EOFError:
        worker.join(10)
        said = f"the process died with {worker.exitcode}"
    return {
        "input": i,
        "case": case,
        "verdict": "bug",
        "said": said,
        "what": "",
        "seconds": 0,
        "ended": True,
    }


def _work(seed: int, inputs: Sequence[int], folder: Path, of: str, pipe: Any) -> None:
    """In its own process: quiet, on one thread."""
    for descriptor in (1, 2):  # libraries write there whatever they like
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    import torch

    torch.set_num_threads(1)
    if {family(seed, i, of) for i in inputs} & {"prompt", "model", "drawing"}:
        import_module(FAMILIES[of]).mini()
    pipe.send(READY)
    for i in inputs:
        place = Path(tempfile.mkdtemp(prefix="fuzz"))
        row = attempt(seed, i, place, of)
        if row["verdict"] == "bug":
            shutil.copytree(place, folder / "bugs" / str(i), dirs_exist_ok=True, symlinks=True)
        shutil.rmtree(place)
        pipe.send(row)


def _peak() -> int:
    """Of this process's memory, KiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _rows(journal: Path) -> Iterator[dict[str, Any]]:
    """The last line may be half-written."""
    for line in journal.read_text().splitlines() if journal.exists() else ():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: how many of each family were fine, refused and bugs."""
    counts = Counter((row["case"], row["verdict"]) for row in rows)
    names = sorted({row["case"] for row in rows}, key=lambda name: -sum(counts[name, each] for each in VERDICTS))
    seconds = {name: max(row["seconds"] for row in rows if row["case"] == name) for name in names}
    lines = []
    for name in names:
        each = [counts[name, verdict] for verdict in VERDICTS]
        lines.append([name, sum(each), *each, f"{seconds[name]:.1f}"])
    total = [sum(counts[name, verdict] for name in names) for verdict in VERDICTS]
    lines.append(["all", sum(total), *total, f"{max(seconds.values(), default=0):.1f}"])
    return markdown_table(["family", "inputs", "fine", "refused", "bugs", "longest, s"], lines, "lr")


def main() -> None:
    run_from_signature(fuzz)


if __name__ == "__main__":
    main()
