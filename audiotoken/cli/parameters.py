"""Options that several commands have, under the same names."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from audiotoken.cli import choices

MODELS_OWN = "the model's own"
KEY_VALUE = "KEY=VALUE"


def describe_keys(name: str, *more: str) -> str:
    """The help of the KEY=VALUE arguments: the keys of `name`.yaml of audiotoken/configs and of the files `more`."""
    texts = [(files("audiotoken.configs") / f"{each}.yaml").read_text(encoding="utf-8") for each in (name, *more)]
    keys = [key for text in texts for key in re.findall(r"^(\w+):", text, re.MULTILINE)]
    listed = ", ".join(key for key in dict.fromkeys(keys) if key not in ("defaults", "hydra"))
    return f"Other settings, explained in audiotoken/configs/{name}.yaml: {listed}."


def choice_option(*names: str, **more: Any) -> Any:
    """A `typer.Option` whose value is one of a `Choice`, in capitals or not."""
    return typer.Option(*names, case_sensitive=False, **more)


StereoClip = Annotated[Path, typer.Argument(metavar="CLIP", help="A stereo sound file (WAV, FLAC, OGG, MP3) or video.")]
PICTURE_OR_FOLDER = "The picture (PNG, JPEG or WebP), or for a folder of clips the folder of pictures."
StereoClips = Annotated[
    Path,
    typer.Argument(
        metavar="CLIP",
        help="A stereo sound file (WAV, FLAC, OGG, MP3) or video, or a folder of them or of tar shards.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="For a folder: work on clips again that are already there.")
]
RECORDED = (
    "How the clip was recorded: panned on a mixing desk, spaced (omnidirectional microphones), ortf (cardioids 17 cm "
    "apart, at 110 degrees), nos (cardioids 30 cm apart, at 90 degrees), xy (coincident cardioids), ms (mid-side) or "
    "binaural; auto detects it"
)
Setup = Annotated[choices.Setup, choice_option(help=f"{RECORDED}.")]
DrawingSetup = Annotated[choices.DrawingSetup, choice_option(help=f"{RECORDED}, mono ignores directions.")]
Spacing = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        metavar="METRES",
        help="Distance between spaced microphones, in metres.",
        show_default="estimated, or 0.5",
    ),
]
MaxSources = Annotated[int, typer.Option(min=1, max=4, metavar="N", help="Maximum number of sources.")]
Token = Annotated[
    choices.Token | None,
    choice_option(
        help="The word for a sound: learned by the embedder, or the label of the recognised sound.",
        show_default="learned if the model has an embedder",
    ),
]
Unmatched = Annotated[
    choices.Unmatched, choice_option(help="What to do with a sound that no word of the prompt names.")
]
Unknown = Annotated[
    choices.Unknown,
    choice_option(
        help="What to do with a sound that the model does not know: leave it out, draw its best guess without a box, "
        "or draw the guess where it is heard."
    ),
]
PlacedPrompt = Annotated[
    str | None,
    typer.Option(
        "--prompt", metavar="TEXT", help="Words to draw; words that name a sound are drawn where it is heard."
    ),
]
NegativePrompt = Annotated[str | None, typer.Option(metavar="TEXT", help="Words to avoid.")]
Energy = Annotated[
    choices.Energy,
    choice_option(
        help="How objects are guided into their boxes: auto (combined for a UNet, regional for a transformer), "
        "combined (fast), layout (Chen et al. 2023), boxdiff (Xie et al. 2023), centroid (after InfSplign, 2025), "
        "forward (attention bias only), regional (attention masks, after Chen et al. 2024) or none."
    ),
]
Fov = Annotated[
    float, typer.Option(metavar="DEGREES", help="Horizontal field of view of the picture, in degrees (1 to 170).")
]
Seed = Annotated[
    int, typer.Option(min=0, max=2**32, metavar="N", help="Random seed; the same seed gives the same picture.")
]
COUNT = "Number of pictures per clip, with seeds SEED, SEED + 1, ..."
Count = Annotated[int, typer.Option(min=1, max=64, metavar="N", help=COUNT)]
PlacedCount = Annotated[
    int, typer.Option("--count", min=1, max=64, metavar="N", help=f"{COUNT}; 1 with --motion trail.")
]
Steps = Annotated[
    int | None, typer.Option(min=1, max=1000, metavar="N", help="Denoising steps.", show_default=MODELS_OWN)
]
GuidanceScale = Annotated[
    float | None,
    typer.Option(min=0.0, max=100.0, metavar="X", help="Classifier-free guidance scale.", show_default=MODELS_OWN),
]
Model = Annotated[
    str, typer.Option(metavar="MODEL", help='"mini", a model folder or a hub id; see `audiotoken assemble`.')
]
Device = Annotated[
    str | None, typer.Option(metavar="DEVICE", help="cpu, cuda, cuda:1, ...", show_default="the best one available")
]
Dtype = Annotated[
    choices.Dtype | None,
    choice_option(help="Precision of the drawing.", show_default="the model's own on a GPU, float32 on a CPU"),
]
Offload = Annotated[
    choices.Offload,
    choice_option(help="Spare GPU memory: keep only the model part in use there, or only the layer in use (slow)."),
]
Width = Annotated[
    int | None, typer.Option(min=8, max=8192, metavar="PIXELS", help="Width of the picture.", show_default=MODELS_OWN)
]
Height = Annotated[
    int | None, typer.Option(min=8, max=8192, metavar="PIXELS", help="Height of the picture.", show_default=MODELS_OWN)
]
ReportPage = Annotated[
    Path | None, typer.Option(metavar="PATH.html", help="Also write a self-contained page that explains the result.")
]
Open = Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Hide progress and notes.")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Show the libraries' logs, and a traceback with every error.")
]
