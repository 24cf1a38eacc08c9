"""The choices that `--help` lists and that are refused when misspelt, with the names of earlier releases.

`tests/audiotoken/cli/test_choices.py` holds them against what the library accepts; they are repeated here so that
`--help` need not import it.
"""

from enum import StrEnum

import typer

# old option or value -> its name now; accepted for one release
RENAMED = {"guidance": "guidance-scale", "out": "output", "ours": "combined"}


class Dtype(StrEnum):
    """Precision of the weights and of the computation."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Offload(StrEnum):
    """What waits in the memory of the CPU while another part of the model computes on a GPU."""

    NONE = "none"
    MODEL = "model"
    SEQUENTIAL = "sequential"


class StoredDtype(StrEnum):
    """Precision of an assembled model on the disk."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Token(StrEnum):
    """The word that stands for a sound in the prompt."""

    LEARNED = "learned"
    LABEL = "label"


class Unmatched(StrEnum):
    """What happens to a sound that no word of the prompt names."""

    ADD = "add"
    DROP = "drop"


class Unknown(StrEnum):
    """What happens to a sound that the audio encoder does not know."""

    OMIT = "omit"
    UNPLACED = "unplaced"
    GUESS = "guess"


class Motion(StrEnum):
    """How a moving source is drawn in one picture."""

    MIDDLE = "middle"
    TRAIL = "trail"


class Energy(StrEnum):
    """How things are moved into their boxes."""

    AUTO = "auto"
    COMBINED = "combined"
    LAYOUT = "layout"
    BOXDIFF = "boxdiff"
    CENTROID = "centroid"
    FORWARD = "forward"
    REGIONAL = "regional"
    NONE = "none"


class LayoutForm(StrEnum):
    """Who reads a layout: the names of `guidance.forms.FORMS`."""

    FLUX3 = "flux3"
    FLUX3_TEXT = "flux3-text"
    MOSS = "moss"
    IDEOGRAM = "ideogram"
    COMFY = "comfy"
    INVOKE = "invoke"
    COCO = "coco"
    SVG = "svg"


class Setup(StrEnum):
    """How a stereo recording was made."""

    AUTO = "auto"
    PANNED = "panned"
    SPACED = "spaced"
    ORTF = "ortf"
    NOS = "nos"
    XY = "xy"
    MS = "ms"
    BINAURAL = "binaural"


class DrawingSetup(StrEnum):
    """A `Setup`, or mono: the whole recording is one sound without a direction."""

    AUTO = "auto"
    PANNED = "panned"
    SPACED = "spaced"
    ORTF = "ortf"
    NOS = "nos"
    XY = "xy"
    MS = "ms"
    BINAURAL = "binaural"
    MONO = "mono"


class Precision(StrEnum):
    """Mixed precision of training, by Accelerate's names."""

    NO = "no"
    BF16 = "bf16"
    FP16 = "fp16"


class Recipe(StrEnum):
    """A file of audiotoken/configs/recipe."""

    PAPER = "paper"
    PUBLISHED = "published"
    MINI = "mini"


def normalize_token(token: str) -> str:
    """An option's name (without dashes) or a choice; names of earlier releases still work, with a note on stderr."""
    if token not in RENAMED:
        return token
    typer.echo(
        f"note   {token} is now called {RENAMED[token]}; the old name will be removed in the next release.", err=True
    )
    return RENAMED[token]
