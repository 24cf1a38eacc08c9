"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

KEYS = "What the options below leave out, as in audiotoken/configs/{}.yaml."
# options that several commands have
Stereo = Annotated[Path, typer.Argument(help="A sound file (WAV, FLAC, OGG, MP3) or a video, in stereo.")]
Setup = Annotated[str, typer.Option(help="auto, or how it was recorded: panned, spaced, ortf, nos, xy, ms, binaural.")]
Spacing = Annotated[float | None, typer.Option(help="Of spaced microphones, metres. [default: found out, or 0.5]")]
MaxSources = Annotated[int, typer.Option(help="At most so many sources.")]
Token = Annotated[str | None, typer.Option(help="A sound's word: learned or label, as in generate.")]
Unmatched = Annotated[str, typer.Option(help="A sound that no word names: add it to the prompt, or drop it.")]
Unknown = Annotated[
    str,
    typer.Option(help="A sound that is none of the known: guess draws it as the nearest, unplaced without a place."),
]
Words = Annotated[
    str | None, typer.Option("--prompt", help="Words to draw; those that name what is heard go where it is heard.")
]
Avoid = Annotated[str | None, typer.Option(help="What to avoid.")]
Energy = Annotated[
    str, typer.Option(help="How things are moved: combined, layout, boxdiff, centroid, forward or none.")
]
Fov = Annotated[float, typer.Option(help="Degrees across the picture.")]
Seed = Annotated[int, typer.Option(help="The same seed draws the same picture.")]
Steps = Annotated[int | None, typer.Option(help="Denoising steps. [default: the model's]")]
Scale = Annotated[float | None, typer.Option(help="Guidance scale. [default: the model's]")]
Model = Annotated[str, typer.Option(help='"mini", a folder or a hub id; see `audiotoken assemble`.')]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ... [default: the best there is]")]
Report = Annotated[Path | None, typer.Option(help="A page of how it came about: report.html.")]
