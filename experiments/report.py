"""Write tables, plots and a gallery for any set of runs.

python -m experiments.report runs/ablate/pooling
"""

from experiments.ablations.summary import main

if __name__ == "__main__":
    main()
