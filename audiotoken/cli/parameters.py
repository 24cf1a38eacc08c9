"""Options that several commands have, under the same names."""

from pathlib import Path
from typing import Annotated

import typer

from audiotoken.cli import choices

KEYS = "Any other key of audiotoken/configs/{}.yaml."
MODELS_OWN = "the model's own"

StereoClip = Annotated[Path, typer.Argument(help="A stereo sound file (WAV, FLAC, OGG, MP3) or video.")]
Setup = Annotated[choices.Setup, typer.Option(help="How the clip was recorded; auto finds out.")]
DrawingSetup = Annotated[
    choices.DrawingSetup, typer.Option(help="How the clip was recorded; auto finds out, mono ignores directions.")
]
Spacing = Annotated[
    float | None,
    typer.Option(min=0.0, help="Distance between spaced microphones, in metres.", show_default="estimated, or 0.5"),
]
MaxSources = Annotated[int, typer.Option(min=1, max=4, help="Maximum number of sources.")]
Token = Annotated[
    choices.Token | None,
    typer.Option(
        help="The word for a sound: learned by the embedder, or the label of the recognised sound.",
        show_default="learned if the model has an embedder",
    ),
]
Unmatched = Annotated[choices.Unmatched, typer.Option(help="What to do with a sound that no word of the prompt names.")]
Unknown = Annotated[
    choices.Unknown,
    typer.Option(help="How to draw a sound that the model does not know: as its best guess, or without a box."),
]
PlacedPrompt = Annotated[
    str | None,
    typer.Option("--prompt", help="Words to draw; words that name a sound are drawn where it is heard."),
]
NegativePrompt = Annotated[str | None, typer.Option(help="Words to avoid.")]
Energy = Annotated[choices.Energy, typer.Option(help="How things are guided into their boxes.")]
Fov = Annotated[float, typer.Option(help="Horizontal field of view of the picture, in degrees.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32, help="Random seed; the same seed gives the same picture.")]
Count = Annotated[int, typer.Option(min=1, max=64, help="Number of pictures per clip, with seeds SEED, SEED + 1, ...")]
Steps = Annotated[int | None, typer.Option(min=1, max=1000, help="Denoising steps.", show_default=MODELS_OWN)]
GuidanceScale = Annotated[
    float | None,
    typer.Option(min=0.0, max=100.0, help="Classifier-free guidance scale.", show_default=MODELS_OWN),
]
Model = Annotated[str, typer.Option(help='"mini", a model folder or a hub id; see `audiotoken assemble`.')]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...", show_default="the best one available")]
Dtype = Annotated[choices.Dtype, typer.Option(help="Precision of the drawing.")]
ReportPage = Annotated[
    Path | None, typer.Option(help="Also write a self-contained page that explains the result: report.html.")
]
Open = Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Hide progress and notes.")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Show the libraries' logs, and a traceback with every error.")
]
