"""People say how well pictures belong to sounds: a local page, a store of answers and a table of them."""
