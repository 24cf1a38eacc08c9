"""Run one experiment with many variants: `experiments.ablations.ablate` with the keys of configs/ablate.yaml.

python -m experiments.ablate experiment=pooling -m                # every variant with every seed
python -m experiments.ablate experiment=pooling sweep=joblib -m   # two runs at a time
python -m experiments.ablate experiment=pooling seed=3            # one run
"""

from experiments.ablations.ablate import main

if __name__ == "__main__":
    main()
