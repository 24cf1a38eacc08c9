"""Experiments on audiotoken, spatial and guidance together: Hydra command lines, benchmarks and ablations."""
