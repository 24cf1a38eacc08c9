"""The choices that `--help` lists and that are refused when misspelt, with the names of earlier releases.

`tests/audiotoken/cli/test_choices.py` holds them against what the library accepts; they are repeated here so that
`--help` need not import it.
"""

from enum import StrEnum

import typer

# old option or value -> its name now; accepted for one release
RENAMED = {"guidance": "guidance-scale", "out": "output", "ours": "combined"}


class Choice(StrEnum):
    """A text that an error shows as it was typed."""

    __repr__ = str.__repr__


class Dtype(Choice):
    """Precision of the weights and of the computation."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Offload(Choice):
    """What waits in the memory of the CPU while another part of the model computes on a GPU."""

    NONE = "none"
    MODEL = "model"
    SEQUENTIAL = "sequential"


class StoredDtype(Choice):
    """Precision of an assembled model on the disk."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Token(Choice):
    """The word that stands for a sound in the prompt."""

    LEARNED = "learned"
    LABEL = "label"


class Unmatched(Choice):
    """What happens to a sound that no word of the prompt names."""

    ADD = "add"
    DROP = "drop"


class Unknown(Choice):
    """What happens to a sound that the audio encoder does not know."""

    OMIT = "omit"
    UNPLACED = "unplaced"
    GUESS = "guess"


class Motion(Choice):
    """How a moving source is drawn in one picture."""

    MIDDLE = "middle"
    TRAIL = "trail"


class Energy(Choice):
    """How things are moved into their boxes."""

    AUTO = "auto"
    COMBINED = "combined"
    LAYOUT = "layout"
    BOXDIFF = "boxdiff"
    CENTROID = "centroid"
    FORWARD = "forward"
    REGIONAL = "regional"
    NONE = "none"


class LayoutForm(Choice):
    """Who reads a layout: the names of `guidance.forms.FORMS`."""

    FLUX3 = "flux3"
    FLUX3_TEXT = "flux3-text"
    MOSS = "moss"
    IDEOGRAM = "ideogram"
    FIBO = "fibo"
    COMFY = "comfy"
    INVOKE = "invoke"
    COCO = "coco"
    SVG = "svg"


class Setup(Choice):
    """How a stereo recording was made."""

    AUTO = "auto"
    PANNED = "panned"
    SPACED = "spaced"
    ORTF = "ortf"
    NOS = "nos"
    XY = "xy"
    MS = "ms"
    BINAURAL = "binaural"


class DrawingSetup(Choice):
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


class Precision(Choice):
    """Mixed precision of training, by Accelerate's names."""

    NO = "no"
    BF16 = "bf16"
    FP16 = "fp16"


class Recipe(Choice):
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
