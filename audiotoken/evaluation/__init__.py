"""Pictures, judges and table of `experiments.evaluate`."""
