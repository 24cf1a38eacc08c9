"""What is measured side by side; the docstring of each module of `experiments.benchmarks` says how.

python -m experiments.bench train                    # training, at SD 1.4's size on a GPU, mini's on a CPU
python -m experiments.bench parts geometry=mini      # the parts of a training step, in milliseconds
python -m experiments.bench arithmetic               # the same by counting, at the true size
python -m experiments.bench spatial scenes=SCENES    # directions
python -m experiments.bench guidance                 # what guidance costs
python -m experiments.bench placement n=200          # what guidance is worth
python -m experiments.bench end_to_end n=200         # from sound to picture
"""

from experiments.benchmarks.command import main

if __name__ == "__main__":
    main(__doc__)
