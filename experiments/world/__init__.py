"""The painted world: scenes, sounds and the training of the mini checkpoint."""
