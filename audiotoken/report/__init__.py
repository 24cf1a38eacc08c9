"""The page of one run: self-contained HTML."""
