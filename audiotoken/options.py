"""Ranges and choices of the options for drawing."""

from audiotoken.errors import OptionError

DTYPES = ("float32", "bfloat16", "float16")
TOKENS = (None, "learned", "label")  # None: learned where the model has an embedder
RANGES = {  # smallest and largest value
    "seed": (0, 2**32),
    "count": (1, 64),
    "steps": (1, 1000),
    "guidance_scale": (0, 100),
    "batch": (1, 1024),
}
REAL = ("guidance_scale",)  # all others are whole numbers


def check_options(*, dtype: str, token: str | None = None, **numbers: float | None) -> None:
    """OptionError for a number out of range or an unknown choice; None stands for the model's own."""
    for name, value in numbers.items():
        low, high = RANGES[name]
        kinds = int | float if name in REAL else int
        if value is not None and not (isinstance(value, kinds) and low <= value <= high):
            whole = "a number" if name in REAL else "a whole number"
            raise OptionError(f"Got {name}={value}, expected {whole} from {low} to {high}; change it.")
    for name, word, choices in (("dtype", dtype, DTYPES), ("token", token, TOKENS)):
        if word not in choices:
            raise OptionError(f"Got {name}={word}, expected one of {', '.join(filter(None, choices))}; change it.")
