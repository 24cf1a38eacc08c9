"""The default set of experiments on the mini checkpoint, and docs/results.md from its runs.

python -m experiments.ablations.default_set                       # continues where it was stopped
python -m experiments.ablations.default_set --only pooling lora   # some of the experiments
python -m experiments.ablations.default_set --only                # no runs: only docs/results.md again
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
from experiments.ablations.docs import write_results
from experiments.ablations.results import collect

NAMES = (
    *("sources", "setups", "plain", "energy"),
    *("matching", "separation", "directions"),
    *("pooling", "layers", "classification", "tokens", "lora"),
    *("schedule", "attention", "evaluation"),
)


def run_default_set(
    *,
    out: str = "runs/ablate",
    docs: str = "docs",
    only: Sequence[str] = NAMES,
    jobs: int = 2,
    seeds: Sequence[int] = (0, 1, 2),
    overrides: Sequence[str] = (),
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Run the experiments `only` with `jobs` processes, then write DOCS/results.md and its plots -> its path.

    overrides: further KEY=VALUE of `experiments.ablate`, for every experiment. OptionError for an unknown experiment.
    """
    folder, report_progress = Path(out), on_row or (lambda text: None)
    if unknown := sorted(set(only) - set(NAMES)):
        raise OptionError(f"Got only={unknown[0]}, expected some of {', '.join(NAMES)}; change it.")
    for name in only:
        start = time.perf_counter()
        words = [f"experiment={name}", "sweep=joblib", f"hydra.launcher.n_jobs={jobs}", f"out={out}"]
        failed = _run_sweep([*words, f"seed={','.join(map(str, seeds))}", *overrides])
        seconds = time.perf_counter() - start
        _append_time(folder, {"name": name, "seconds": seconds, "failed": failed})
        report_progress(f"{name}  {seconds:.0f} s" + "  some runs failed" * failed)
    experiments = sorted((one for one in collect(folder) if one.name in NAMES), key=lambda one: NAMES.index(one.name))
    return str(write_results(experiments, Path(docs), NAMES))


def _run_sweep(arguments: Sequence[str]) -> bool:
    """Run `experiments.ablate` in this process, so that its workers stay for the next sweep -> did a run fail?"""
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


def _append_time(folder: Path, line: dict[str, Any]) -> None:
    """Append the time that an experiment took to set.json."""
    path = folder / "set.json"
    lines = json.loads(path.read_text()) if path.is_file() else []
    write_bytes(json.dumps([*lines, line], indent=1).encode(), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/ablate", help="the folder of the runs")
    parser.add_argument("--docs", default="docs", help="the folder of results.md and its plots")
    parser.add_argument(
        "--only", nargs="*", default=NAMES, choices=NAMES, help="experiments to run; none: only write the results"
    )
    parser.add_argument("--jobs", type=int, default=2, help="number of processes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--overrides", nargs="*", default=[], help="KEY=VALUE for every experiment, such as task.n=100")
    with errors_as_sentences():
        options = vars(parser.parse_args())
        print(run_default_set(**options, on_row=lambda text: print(text, file=sys.stderr, flush=True)))


if __name__ == "__main__":
    main()
