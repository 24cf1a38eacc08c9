"""Run a benchmark; the docstring of each module in `experiments.benchmarks` describes how it measures.

python -m experiments.bench train                    # training, at SD 1.4's size on a GPU, mini's on a CPU
python -m experiments.bench parts geometry=mini      # the parts of a training step, in milliseconds
python -m experiments.bench arithmetic               # the same parts, counted at the true size
python -m experiments.bench spatial scenes=SCENES    # accuracy of directions
python -m experiments.bench real data=FOLDER         # directions in real rooms
python -m experiments.bench words n=40               # words that are listened for
python -m experiments.bench guidance                 # cost of guidance
python -m experiments.bench guidance launches        # how often a GPU is called, counted at the true size
python -m experiments.bench gpu                      # all that needs a GPU, in eight minutes
python -m experiments.bench placement n=200          # effect of guidance
python -m experiments.bench end_to_end n=200         # the whole path from sound to picture
python -m experiments.bench strict model=FOLDER      # can a stranger name the pictures?
"""

from experiments.benchmarks.command import main

if __name__ == "__main__":
    main(__doc__)
