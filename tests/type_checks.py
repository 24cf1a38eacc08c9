"""How annotations are checked in tests: by beartype, with an int for a float as type checkers have it (PEP 484)."""

from beartype import BeartypeConf, beartype

check_types = beartype(conf=BeartypeConf(is_pep484_tower=True))
