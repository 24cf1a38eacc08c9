"""What the shipped checkpoint does with synthesised sounds: `make demo`.

python -m experiments.demo --out demo      # a minute on a laptop; clips, pictures, reports and one overview
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiotoken.audio import load_audio, to_mono
from audiotoken.labels import format_labels
from audiotoken.mini.sounds import synthesise
from audiotoken.model import load_pipeline
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.report.figure import spectrogram
from audiotoken.report.listening_text import format_azimuth
from audiotoken.report.result_page import write_page
from audiotoken.stereo.animation import sound_to_film
from audiotoken.stereo.films import write_film
from audiotoken.stereo.generation import Result, sound_to_image
from audiotoken.tasks.generate import write_report
from audiotoken.tasks.picture_files import path_beside, write_pictures
from audiotoken.tasks.place import with_boxes
from audiotoken.tasks.sentences import errors_as_sentences
from audiotoken.writing import write_image
from spatial.simulation import simulate

RATE = 22050  # Hz
SECONDS = 4.0
CLIPS = ("dog", "rooster", "clock", "frog", "bell", "car", "wave", "helicopter")
SEED = 3
FRAMES, FILM_SEED = 10, 1  # the seed was chosen by eye among five: one car all the way
STREET = (("frog", -28.0), ("bell", 28.0))  # degrees, positive right
PASSING = ("car", ((0.0, -40.0), (SECONDS, 40.0)))  # (seconds, degrees)


def write_clips(folder: Path, words: tuple[str, ...] = CLIPS) -> list[Path]:
    """Write one synthesised clip for each word, 16-bit mono WAV."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for word in words:
        path = folder / f"{word}.wav"
        soundfile.write(path, synthesise(word, RATE, SECONDS, SEED), RATE, subtype="PCM_16")
        paths.append(path)
    return paths


def write_street(folder: Path) -> Path:
    """Write a frog on the left and a bell on the right, recorded by an ORTF pair in a small room."""
    return _write_pair(folder / "street.wav", STREET, rt60=0.2)


def write_passing(folder: Path) -> Path:
    """Write a car that drives by, recorded by an ORTF pair."""
    return _write_pair(folder / "passing.wav", [PASSING])


def _write_pair(path: Path, placed_words: Any, **room: Any) -> Path:
    import soundfile

    sources = [(synthesise(word, RATE, SECONDS, SEED), where) for word, where in placed_words]
    soundfile.write(path, simulate(sources, "ortf", rate=RATE, **room).T, RATE, subtype="PCM_16")
    return path


def draw_passing(clip: Path, pipe: AudioTokenPipeline) -> str:
    """Draw a film, with its sound and as a GIF -> what was heard, in words."""
    result = sound_to_film(*load_audio(clip), pipe, seed=FILM_SEED, frames=FRAMES)
    for suffix in (".gif", ".mp4"):
        write_film(result.images, result.recording, result.rate, clip.with_suffix(suffix))
    source = result.scene.sources[0]
    ends = [format_azimuth(source.azimuth_at(time)) for time in (0.0, SECONDS)]
    return f"{result.subjects[0]} {' to '.join(ends)}"


def draw_street(clip: Path, pipe: AudioTokenPipeline) -> str:
    """Draw the clip, a sheet with its channels swapped beside it, and a page -> what was heard, in words."""
    import soundfile
    from PIL import Image

    recording, rate = soundfile.read(clip, dtype="float32")
    results = [sound_to_image(each, rate, pipe, keep_maps=True) for each in (recording.T, recording.T[::-1])]
    sheet = Image.new("RGB", (1036, 512), "white")
    for i, result in enumerate(results):
        sheet.paste(with_boxes(result), (524 * i, 0))
    write_image(results[0].images[0], clip.with_suffix(".png"))
    write_image(sheet, clip.with_name("street-both-ways.png"))
    write_page(results[0], clip.with_suffix(".html"))
    return ", ".join(
        f"{word} {source.direction.azimuth:+.0f}°"
        for word, source in zip(results[0].subjects, results[0].scene.sources, strict=True)
    )


def draw_overview(results: Sequence[Result], path: Path) -> None:
    """Draw one column for each clip: its spectrogram, what was heard, the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 * len(results), 3.6), dpi=128, facecolor="white")
    axes = figure.subplots(2, len(results), height_ratios=(1, 2))
    for (above, below), result in zip(axes.T, results, strict=True):
        _, _, decibels = spectrogram(to_mono(result.recording), result.rate)
        above.imshow(decibels, origin="lower", aspect="auto", cmap="magma", vmin=-80, vmax=0)
        above.set_title(format_labels(result.heard[0], most=1), fontsize=9)
        below.imshow(result.images[0])
        for each in (above, below):
            each.set_axis_off()
    figure.tight_layout(pad=0.4)
    FigureCanvasAgg(figure).print_png(str(path))


def run_demo(out: Path) -> None:
    """Write every clip with what was drawn from it into `out`, and print what was heard."""
    print(f"synthesising {len(CLIPS)} clips into {out}/", flush=True)
    clips = write_clips(out)
    pipe = load_pipeline("mini")
    results = []
    for clip in clips:
        result = sound_to_image(*load_audio(clip), pipe, seed=SEED, setup="mono")
        write_pictures(result.images, clip.with_suffix(".png"))
        write_report(result, path_beside(clip.with_suffix(".png"), "report"), {})
        results.append(result)
        print(f"{clip}  heard {format_labels(result.heard[0])}  drew {clip.with_suffix('.png')}", flush=True)
    draw_overview(results, out / "overview.png")
    print(f"all of them at a glance: {out / 'overview.png'}", flush=True)
    street = write_street(out)
    print(f"{street}  heard {draw_street(street, pipe)}  drew {street.with_suffix('.png')}")
    print(f"the same with the channels swapped, side by side: {out / 'street-both-ways.png'}")
    print(f"how it came about, to open in a browser: {street.with_suffix('.html')}", flush=True)
    passing = write_passing(out)
    print(f"{passing}  heard {draw_passing(passing, pipe)}  drew {passing.with_suffix('.gif')} and .mp4 with the sound")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("demo"), help="the folder to write into (default: demo)")
    with errors_as_sentences():
        run_demo(parser.parse_args().out)
