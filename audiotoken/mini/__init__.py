"""The shipped checkpoint, in the diffusers folder layout; data only."""
