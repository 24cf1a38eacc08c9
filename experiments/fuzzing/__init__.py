"""Seeded inputs and what is asked of them; see `experiments.fuzz`."""
