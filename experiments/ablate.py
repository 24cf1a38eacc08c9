"""One question, many runs; what an experiment is, and what becomes of its runs: `experiments.ablations.ablate`.

    python -m experiments.ablate experiment=pooling -m                 # all of it
    python -m experiments.ablate experiment=pooling sweep=joblib -m   # two at a time
    python -m experiments.ablate experiment=pooling seed=3             # one run

The keys are those of configs/ablate.yaml.
"""

from experiments.ablations.ablate import main

if __name__ == "__main__":
    main()
