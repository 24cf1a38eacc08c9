"""Any set of runs -> tables, plots and a gallery.

    python -m experiments.report runs/ablate/pooling

What a variant is, and what the intervals are: `experiments.ablations.results`.
"""

import argparse
from pathlib import Path

from audiotoken.tasks.sentences import errors_as_sentences
from experiments.ablations.summary import gather


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.report", description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("folder", type=Path, help="of a sweep, or of several")
    with errors_as_sentences():
        print(gather(parser.parse_args().folder).text)


if __name__ == "__main__":
    main()
