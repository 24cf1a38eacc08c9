"""What the options of a drawing may be."""

from audiotoken.errors import OptionError

DTYPES = ("float32", "bfloat16", "float16")
TOKENS = (None, "learned", "label")  # None: learned where the model has an embedder
RANGES = {"seed": (0, 2**32), "count": (1, 64), "steps": (1, 1000), "guidance": (0, 100), "batch": (1, 1024)}


def check_options(*, dtype: str, token: str | None = None, **numbers: float | None) -> None:
    """OptionError for what is out of range; None stands for the model's own."""
    for name, value in numbers.items():
        low, high = RANGES[name]
        kinds = int | float if name == "guidance" else int
        if value is not None and not (isinstance(value, kinds) and low <= value <= high):
            whole = "a number" if name == "guidance" else "a whole number"
            raise OptionError(f"Got {name}={value}, want {whole} from {low} to {high}; change it.")
    for name, word, choices in (("dtype", dtype, DTYPES), ("token", token, TOKENS)):
        if word not in choices:
            raise OptionError(f"Got {name}={word}, want one of {', '.join(filter(None, choices))}; change it.")
