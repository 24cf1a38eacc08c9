"""The default set of experiments on the mini checkpoint, and docs/results.md from what was run.

python -m experiments.ablations.set                      # goes on where it was stopped
python -m experiments.ablations.set --only pooling lora   # some of it
python -m experiments.ablations.set --only               # runs nothing, writes docs/results.md anew
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from audiotoken.errors import OptionError
from audiotoken.tasks.sentences import errors_as_sentences
from audiotoken.writing import write_bytes
from experiments.ablations.ablate import main as ablate_main
from experiments.ablations.docs import write_results, write_stamps
from experiments.ablations.results import collect

NAMES = (
    *("sources", "setups", "plain", "energy"),
    *("matching", "separation", "directions"),
    *("pooling", "layers", "classification", "tokens", "lora"),
    *("schedule", "attention", "evaluation"),
)


def ablate_set(
    *,
    out: str = "runs/ablate",
    docs: str = "docs",
    only: Sequence[str] = NAMES,
    jobs: int = 2,
    seeds: Sequence[int] = (0, 1, 2),
    overrides: Sequence[str] = (),
    stamp: bool = True,
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Run the experiments `only` with `jobs` processes, then write DOCS/results.md and its plots -> its path.

    overrides: more of `experiments.ablate`, for all. stamp: write time and result into the files of configs/experiment,
    where git keeps them. OptionError for an experiment that is none.
    """
    folder, tell = Path(out), on_row or (lambda text: None)
    if strange := sorted(set(only) - set(NAMES)):
        raise OptionError(f"Got only={strange[0]}, want some of {', '.join(NAMES)}; change it.")
    for name in only:
        start = time.perf_counter()
        told = [f"experiment={name}", "sweep=joblib", f"hydra.launcher.n_jobs={jobs}", f"out={out}"]
        failed = _swept([*told, f"seed={','.join(map(str, seeds))}", *overrides])
        seconds = time.perf_counter() - start
        _note(folder, {"name": name, "seconds": seconds, "failed": failed})
        tell(f"{name}  {seconds:.0f} s" + "  some runs failed" * failed)
    experiments = sorted((one for one in collect(folder) if one.name in NAMES), key=lambda one: NAMES.index(one.name))
    if stamp:
        write_stamps(experiments)
    return str(write_results(experiments, Path(docs), NAMES))


def _swept(arguments: Sequence[str]) -> bool:
    """The command `experiments.ablate` in this process, so that its workers stay for the next -> did a run fail?"""
    before = sys.argv
    sys.argv = ["ablate", *arguments, "-m"]
    try:
        ablate_main()
    except SystemExit as end:
        if end.code != 1:
            raise
        return True
    finally:
        sys.argv = before
    return False


def _note(folder: Path, line: dict[str, Any]) -> None:
    """The time on the clock, of every command of this set."""
    path = folder / "set.json"
    lines = json.loads(path.read_text()) if path.is_file() else []
    write_bytes(json.dumps([*lines, line], indent=1).encode(), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/ablate", help="a folder of each experiment goes there")
    parser.add_argument("--docs", default="docs", help="results.md and its plots go there")
    parser.add_argument("--only", nargs="*", default=NAMES, choices=NAMES, help="none: only write")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--overrides", nargs="*", default=[], help="such as task.n=100")
    parser.add_argument("--no-stamp", dest="stamp", action="store_false", help="leave configs/experiment alone")
    with errors_as_sentences():
        print(ablate_set(**vars(parser.parse_args()), on_row=lambda text: print(text, file=sys.stderr, flush=True)))


if __name__ == "__main__":
    main()
