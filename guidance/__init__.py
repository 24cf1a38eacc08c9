"""Words with places -> a picture: cross-attention steered towards regions."""
