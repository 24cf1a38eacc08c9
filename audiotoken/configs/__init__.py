"""Hydra configurations of the commands prepare, train and evaluate; keys are the parameter names of what they build."""
