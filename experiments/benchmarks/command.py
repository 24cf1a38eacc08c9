"""The command line of `experiments.bench`: the benchmark of that name with Hydra's command line."""

import sys

from audiotoken.errors import OptionError
from audiotoken.tasks.sentences import errors_as_sentences
from experiments.benchmarks import end_to_end, gpu, guidance, placement, strict
from experiments.benchmarks.parts import bench_parts, format_arithmetic
from experiments.benchmarks.real import bench_real
from experiments.benchmarks.real_copy import make_copy
from experiments.benchmarks.spatial import bench_spatial
from experiments.benchmarks.train import bench_train
from experiments.benchmarks.words import bench_words
from experiments.hydra_cli import run_from_config, run_from_signature

COMMANDS = {
    "train": lambda: run_from_config("bench", bench_train),
    "parts": lambda: run_from_config("bench_parts", bench_parts),
    "arithmetic": lambda: print(format_arithmetic()),
    "spatial": lambda: run_from_config("bench_spatial", bench_spatial),
    "real": lambda: run_from_config("bench_real", bench_real),
    "real_copy": lambda: run_from_config("bench_real_copy", make_copy),
    "words": lambda: run_from_signature(bench_words),
    "guidance": guidance.main,
    "gpu": gpu.main,
    "placement": placement.main,
    "end_to_end": end_to_end.main,
    "strict": strict.main,
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
