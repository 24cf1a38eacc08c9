"""Hydra configurations of research; keys are parameter names. Those of the commands are in audiotoken/configs."""
