"""Ranges and choices of the options for drawing."""

from audiotoken.errors import OptionError

DTYPES = (None, "float32", "bfloat16", "float16")  # None: the model's own on a GPU, float32 on a CPU
OFFLOADS = ("none", "model", "sequential")
TOKENS = (None, "learned", "label")  # None: learned where the model has an embedder
RANGES = {  # smallest and largest value
    "seed": (0, 2**32),
    "count": (1, 64),
    "steps": (1, 1000),
    "guidance_scale": (0, 100),
    "batch": (1, 1024),
    "width": (8, 8192),
    "height": (8, 8192),
}
SIDE = 8  # pixels that become one of the latents, in every family
REAL = ("guidance_scale",)  # all others are whole numbers


def check_options(
    *, dtype: str | None = None, token: str | None = None, offload: str = "none", **numbers: float | None
) -> None:
    """OptionError for a number out of range or an unknown choice; None stands for the model's own."""
    for name, value in numbers.items():
        low, high = RANGES[name]
        kinds = int | float if name in REAL else int
        if value is not None and not (isinstance(value, kinds) and low <= value <= high):
            whole = "a number" if name in REAL else "a whole number"
            raise OptionError(f"Got {name}={value}, expected {whole} from {low} to {high}; change it.")
    for name in ("width", "height"):
        if (numbers.get(name) or 0) % SIDE:
            raise OptionError(f"Got {name}={numbers[name]}, expected a multiple of {SIDE}; change it.")
    for name, word, choices in (("dtype", dtype, DTYPES), ("token", token, TOKENS), ("offload", offload, OFFLOADS)):
        if word not in choices:
            raise OptionError(f"Got {name}={word}, expected one of {', '.join(filter(None, choices))}; change it.")
