"""What is measured side by side: training, listening, guiding, and the whole road.

    python -m experiments.bench train                              # SD 1.4's size on a GPU, the mini one on a CPU
    python -m experiments.bench train batch_sizes=[4] repeats=1 checkpointing=true out=runs/bench
    python -m experiments.bench parts geometry=mini                # what a step is made of, in milliseconds
    python -m experiments.bench arithmetic                         # and by counting, at the true size
    python -m experiments.bench spatial scenes=SCENES              # directions: see benchmarks/spatial.py
    python -m experiments.bench guidance                           # what guidance costs: benchmarks/guidance.py
    python -m experiments.bench placement n=200                    # what it is worth: benchmarks/placement.py
    python -m experiments.bench heard n=200                        # from sound to picture: benchmarks/heard.py

Of training, each row is measured in fresh processes, one at a time, taking turns with the other rows; what runs out of
memory is listed as such. In `out`: rows.csv, table.md and chart.png. `experiments.benchmarks.published` says what "as
published" is.
"""

import sys
from importlib import import_module

from audiotoken.errors import OptionError
from audiotoken.tasks.sentences import errors_as_sentences
from experiments.benchmarks.parts import arithmetic, bench_parts
from experiments.benchmarks.spatial import bench_spatial
from experiments.benchmarks.train import bench_train
from experiments.door import hydra_entry

OTHERS = ("guidance", "placement", "heard")  # each in a module of that name, with a command line of its own
COMMANDS = ("train", "parts", "arithmetic", "spatial", *OTHERS)


def main() -> None:
    command = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    with errors_as_sentences():
        if command not in COMMANDS:
            raise OptionError(
                f"Got the command {command!r}, want one of {', '.join(COMMANDS)}; see experiments/bench.py."
            )

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if command in OTHERS:
        import_module(f"experiments.benchmarks.{command}").main()
    elif command == "spatial":
        hydra_entry("bench_spatial", lambda **options: bench_spatial(**options, on_row=tell))
    elif command == "arithmetic":
        print(arithmetic())
    elif command == "parts":
        hydra_entry("bench_parts", bench_parts)
    else:
        hydra_entry("bench", lambda **options: bench_train(**options, on_row=tell))


if __name__ == "__main__":
    main()
