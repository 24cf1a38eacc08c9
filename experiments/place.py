"""`audiotoken place`: a stereo file in, a picture with everything where it is heard out."""

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from experiments.generate import OptionError, check_options, check_output, load_parts, write_bytes, write_image
from experiments.placing import UNMATCHED, Placed, place

COLOURS = ("#c2410c", "#1d6fb8", "#15803d", "#7e22ce")
LONGEST = 30.0  # seconds that are listened to


def place_file(
    clip: str | os.PathLike,
    output: str | os.PathLike = "placed.png",
    *,
    prompt: str | None = None,
    unmatched: str = "add",
    token: str | None = None,
    energy: str = "ours",
    setup: str = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    fov: float = 90.0,
    seed: int = 0,
    steps: int | None = None,
    guidance: float | None = None,
    model: str = "mini",
    device: str | None = None,
    boxes: bool = False,
    on_step: Callable[[int, int], None] | None = None,
) -> Placed:
    """Listen to `clip`, draw it, write the picture; with `boxes` also OUTPUT-boxes.png: where things belong.

    A file longer than half a minute is listened to at its beginning, and the notes say so. Parameters are those of
    `placing.place`. Raises AudioError, CheckpointError, PromptError, SpatialError, GuidanceError or OptionError.
    """
    from audiotoken.audio import load_audio

    check_options(seed=seed, steps=steps, guidance=guidance, dtype="float32", token=token)
    if unmatched not in UNMATCHED:
        raise OptionError(f'Got unmatched="{unmatched}", want one of {", ".join(UNMATCHED)}; change it.')
    recording, rate = load_audio(clip)
    check_output(output)  # before the long work
    cut = recording.shape[-1] > LONGEST * rate
    parts = load_parts(model, device)
    total = steps or 0
    placed = place(
        recording[..., : round(LONGEST * rate)] if cut else recording,
        rate,
        parts,
        prompt=prompt,
        unmatched=unmatched,
        token=token,
        energy=energy,
        fov=fov,
        seed=seed,
        setup=setup,
        spacing=spacing,
        max_sources=max_sources,
        steps=steps,
        guidance_scale=guidance,
        on_step=(lambda step: on_step(step + 1, max(total, step + 1))) if on_step else None,
    )
    if cut:
        placed.notes.append(f"The first {LONGEST:g} seconds were listened to; cut the file to hear others.")
    write_image(placed.images[0], Path(output))
    if boxes:
        write_image(with_boxes(placed), boxes_path(output))
    return placed


def animate_file(
    clip: str | os.PathLike,
    output: str | os.PathLike = "placed.gif",
    *,
    frames: int = 12,
    token: str | None = None,
    setup: str = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    fov: float = 90.0,
    seed: int = 0,
    steps: int | None = None,
    guidance: float | None = None,
    model: str = "mini",
    device: str | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Placed:
    """Listen to `clip`, draw `frames` pictures of it, write them as a GIF that is as long as what was listened to."""
    from audiotoken.audio import load_audio
    from experiments.placing import animate

    check_options(seed=seed, steps=steps, guidance=guidance, dtype="float32", token=token)
    if not 2 <= frames <= 200 or Path(output).suffix.lower() != ".gif":
        raise OptionError(f"Got {frames} frames for {output}, want 2 to 200 and a name that ends in .gif; change it.")
    recording, rate = load_audio(clip)
    check_output(Path(output).with_suffix(".png"))  # the folder: GIF is written here
    heard = recording[..., : round(LONGEST * rate)]
    placed = animate(
        heard,
        rate,
        load_parts(model, device),
        frames=frames,
        token=token,
        fov=fov,
        seed=seed,
        setup=setup,
        spacing=spacing,
        max_sources=max_sources,
        steps=steps,
        guidance_scale=guidance,
        on_step=on_step,
    )
    content = BytesIO()
    first, *others = (image.convert("RGB") for image in placed.images)
    pace = round(1000 * heard.shape[-1] / rate / frames)
    first.save(content, "GIF", save_all=True, append_images=others, duration=pace, loop=0)
    write_bytes(content.getvalue(), Path(output))
    return placed


def said(placed: Placed, output: str | os.PathLike, boxes: bool) -> str:
    """What the command prints."""
    lines = [f"setup  {placed.scene.setup}"]
    for i, source in enumerate(placed.scene.sources):
        region = next((each for each in placed.regions if each.label == placed.subjects[i]), None)
        where = "without a place" if region is None else f"box {', '.join(f'{edge:.2f}' for edge in region.box)}"
        lines.append(f"{i + 1}  {placed.subjects[i]}  {side(source.direction.azimuth)}  {where}")
    lines += placed.notes
    files = [str(output), *([str(boxes_path(output))] if boxes else [])]
    return "\n".join([*lines, f"prompt  {placed.text}", f"wrote  {', '.join(files)}"])


def side(azimuth: float) -> str:
    """As people say it."""
    whole = round(abs(azimuth))
    return "ahead" if not whole else f"{whole}° {'left' if azimuth < 0 else 'right'}"


def with_boxes(placed: Placed, size: int = 512) -> Any:
    """The picture with the box of each source and what it is."""
    picture = placed.images[0].convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(picture)
    for i, region in enumerate(placed.regions):
        x0, y0, x1, y1 = (edge * (size - 1) for edge in region.box)
        pen.rectangle((x0, y0, x1, y1), outline=COLOURS[i % len(COLOURS)], width=3)
        pen.text((x0 + 6, y0 + 4), region.label, fill=COLOURS[i % len(COLOURS)], font_size=18)
    return picture


def boxes_path(output: str | os.PathLike) -> Path:
    """street.png -> street-boxes.png."""
    path = Path(output)
    return path.with_name(f"{path.stem}-boxes{path.suffix}")
