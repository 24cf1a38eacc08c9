"""Do the pictures show what was heard? `audiotoken evaluate` with Hydra's command line.

    python -m experiments.evaluate clips=clips n=40 out=runs/evaluated

The keys are those of its configuration, evaluate.yaml.
"""

import warnings

from audiotoken.evaluation.evaluate import evaluate
from experiments.door import hydra_entry


def main() -> None:
    import sys

    warnings.filterwarnings("ignore", message="Fréchet distance")  # the table says how many pictures there are

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    hydra_entry("evaluate", lambda **options: evaluate(**options, on_row=tell), "audiotoken.configs")


if __name__ == "__main__":
    main()
