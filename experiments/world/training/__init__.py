"""Training of the weights in audiotoken/mini."""
