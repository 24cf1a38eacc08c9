"""A stereo recording -> who is where. No torch in this package."""
