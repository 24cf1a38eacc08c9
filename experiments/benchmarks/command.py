"""The command line of `experiments.bench`: the benchmark of that name with Hydra's command line.

Benchmarks are looked up by name, as Hydra looks up a `_target_`: all of them take 15 seconds to import.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from audiotoken.errors import OptionError
from audiotoken.tasks.sentences import errors_as_sentences
from experiments.hydra_cli import run_from_config, run_from_signature


def find(target: str) -> Callable[..., Any]:
    """The function `module.function` of `experiments.benchmarks`."""
    module, name = target.split(".")
    function: Callable[..., Any] = getattr(import_module(f"experiments.benchmarks.{module}"), name)
    return function


COMMANDS = {
    "train": lambda: run_from_config("bench", find("train.bench_train")),
    "parts": lambda: run_from_config("bench_parts", find("parts.bench_parts")),
    "arithmetic": lambda: print(find("parts.format_arithmetic")()),
    "spatial": lambda: run_from_config("bench_spatial", find("spatial.bench_spatial")),
    "real": lambda: run_from_config("bench_real", find("real.bench_real")),
    "real_copy": lambda: run_from_config("bench_real_copy", find("real_copy.make_copy")),
    "words": lambda: run_from_signature(find("words.bench_words")),
    "guidance": lambda: find("guidance.main")(),
    "gpu": lambda: find("gpu.main")(),
    "placement": lambda: find("placement.main")(),
    "end_to_end": lambda: find("end_to_end.main")(),
    "strict": lambda: find("strict.main")(),
}
ALIASES = {"heard": "end_to_end"}  # old names, kept for one release


def main(usage: str | None = None) -> None:
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    command = ALIASES.get(name, name)
    if command in ("-h", "--help"):
        print(usage or __doc__)
        return
    with errors_as_sentences():
        if command not in COMMANDS:
            raise OptionError(
                f"Got the command {command!r}, expected one of {', '.join(COMMANDS)}; see experiments/bench.py."
            )
    COMMANDS[command]()
