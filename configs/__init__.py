"""Hydra configurations; keys are the parameter names of what they build."""
