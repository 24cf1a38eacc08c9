"""Measure the figures of the model card: what an independent detector recognises in the mini checkpoint's pictures.

    python -m experiments.world.measure --model audiotoken/mini --esc10 ESC10_FOLDER --out runs/measured
    python -m experiments.world.measure --only speed        # time and memory of one picture, in a fresh process

Text: 20 pictures of "a photo of a WORD" for each of 24 words. Sound: 20 pictures of "a photo of <audio>" for each
class, from real clips of fold 4 (for audio parts that never heard it) and from synthesised ones. --pictures changes
the number.
"""

import argparse
import json
import os
import platform
import resource
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from audiotoken.data import read_esc_rows
from audiotoken.errors import OptionError
from audiotoken.loading import find_model
from audiotoken.manifest import fingerprint
from audiotoken.mini.object_detector import Detector, detect, load_detector
from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS, WORD_OF_ESC10, WORDS
from audiotoken.model import load_pipeline
from audiotoken.protocols import SoundPipeline
from audiotoken.tables import markdown_table
from audiotoken.tasks.sentences import errors_as_sentences

BATCH = 10
SEED = 1000


def recognise_things(images: Sequence[Any], detector: Detector | None = None) -> list[str]:
    """The word of the thing that covers the largest area of each picture; by the shipped detector by default."""
    import numpy as np
    import torch

    arrays = np.stack([np.asarray(image, np.float32) for image in images])  # (batch, 128, 128, 3)
    batch = torch.from_numpy(arrays).permute(0, 3, 1, 2) / 127.5 - 1
    return [WORDS[i] for i in detect(detector or load_detector(), batch).largest().tolist()]


def measure_words(
    words: Sequence[str], draw: Callable[[str, int, int], list[Any]], out: Path, name: str, pictures: int
) -> dict[str, Any]:
    """Draw `pictures` of each word with `draw(word, first, count)`, from number `first`; count what is recognised."""
    rows: dict[str, Any] = {}
    for word in words:
        parts = [(first, min(BATCH, pictures - first)) for first in range(0, pictures, BATCH)]
        images = [image for first, count in parts for image in draw(word, first, count)]
        seen = recognise_things(images)
        rows[word] = {"right": seen.count(word) / pictures, "seen": dict(Counter(seen).most_common())}
        write_sheet(images, out / name / f"{word}.png")
        print(f"{name} {word}: {100 * rows[word]['right']:.0f} %  {rows[word]['seen']}", flush=True)
    rows["mean"] = {"right": sum(rows[w]["right"] for w in words) / len(words)}
    return rows


def write_sheet(images: Sequence[Any], path: Path, columns: int = 10) -> None:
    from PIL import Image

    width, height = images[0].size
    canvas = Image.new("RGB", (width * columns, height * -(-len(images) // columns)))
    for i, image in enumerate(images):
        canvas.paste(image, (i % columns * width, i // columns * height))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


def article(word: str) -> str:
    return ("an " if word[0] in "aeiou" else "a ") + word


def measure_from_text(pipe: SoundPipeline, out: Path, pictures: int, seed: int) -> dict[str, Any]:
    def draw(word: str, first: int, count: int) -> list[Any]:
        return pipe(prompt=f"a photo of {article(word)}", seed=seed + first, num_images_per_prompt=count).images

    return measure_words(WORDS, draw, out, "text", pictures)


def measure_from_clips(
    pipe: SoundPipeline, clips: dict[str, list[tuple[Any, int | None]]], out: Path, name: str, pictures: int, seed: int
) -> dict[str, Any]:
    """Measure pictures of clips `(path or signal, rate)`, and how often the encoder's first guess is right."""

    def draw(word: str, first: int, count: int) -> list[Any]:
        chosen = [clips[word][i % len(clips[word])] for i in range(first, first + count)]
        images = []
        for i, (clip, rate) in enumerate(chosen, start=first):
            images += pipe(clip, rate=rate, seed=seed + i).images
        return images

    rows = measure_words(list(clips), draw, out, name, pictures)
    heard = {word: [pipe.classify(clip, rate)[0][0] == word for clip, rate in clips[word]] for word in clips}
    for word, right in heard.items():
        rows[word]["heard"] = sum(right) / len(right)
    rows["mean"]["heard"] = sum(map(sum, heard.values())) / sum(map(len, heard.values()))
    return rows


def load_real_clips(esc10: Path, fold: int) -> dict[str, list[tuple[Any, int | None]]]:
    clips: dict[str, list[tuple[Any, int | None]]] = {word: [] for word in WORD_OF_ESC10.values()}
    for path, label, _ in read_esc_rows(esc10, [fold]):
        clips[WORD_OF_ESC10[label]].append((str(path), None))
    return clips


def synthesise_clips(count: int = 10) -> dict[str, list[tuple[Any, int | None]]]:
    """Synthesised clips with seeds that were not used in training."""
    rate = 22050
    return {w: [(synthesise(w, rate, 4.0, 900_000 + i), rate) for i in range(count)] for w in AUDIBLE_WORDS}


def measure_speed(model: str) -> dict[str, Any]:
    """Loading time, time of a picture of 20 steps from a sound, and peak memory, on this machine's CPU."""
    import torch

    start = time.perf_counter()
    pipe = load_pipeline(model, "cpu")
    load = time.perf_counter() - start
    clip, pictures = synthesise("dog", 22050, 5.0, 1), []
    for seed in range(4):
        start = time.perf_counter()
        pipe(clip, rate=22050, seed=seed, num_inference_steps=20)
        pictures.append(time.perf_counter() - start)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {
        "load_s": round(load, 2),
        "first_picture_s": round(pictures[0], 2),
        "picture_s": round(sorted(pictures)[1], 2),
        "memory_gib": round(memory, 2),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "machine": platform.machine(),
    }


def format_table(figures: dict[str, Any]) -> str:
    """The Markdown table, with one row per word; "" if no pictures were drawn."""
    kinds = [k for k in ("text", "real", "made") if k in figures]
    if not kinds:
        return ""
    names = {"text": "text prompt", "real": "real clip, fold 4", "made": "synthesised clip"}
    head = ["word"] + [h for k in kinds for h in ([names[k]] if k == "text" else [names[k], "heard"])]
    rows = []
    for word in (*WORDS, "mean"):
        cells = [word]
        for kind in kinds:
            row = figures[kind].get(word, {})
            wanted = ("right",) if kind == "text" else ("right", "heard")
            cells += [f"{100 * row[w]:.0f} %" if w in row else "" for w in wanted]
        rows.append(cells)
    return markdown_table(head, rows) + "\n"


def format_speed(figures: dict[str, Any]) -> str:
    if not figures:
        return ""
    return (
        f"\nA picture of 20 steps from a sound takes {figures['picture_s']} s on {figures['cores']} cores "
        f"({figures['machine']}, threads: {figures['threads']}, load {figures['load_average']}), loading "
        f"{figures['load_s']} s after the imports, {figures['memory_gib']} GiB at most.\n"
    )


def write_card(card: Path, text: str) -> None:
    """Write the measured table between the card's markers."""
    before, rest = card.read_text().split("<!-- measured -->")
    _, after = rest.split("<!-- /measured -->")
    card.write_text(f"{before}<!-- measured -->\n{text}<!-- /measured -->{after}")


def read_options() -> argparse.Namespace:
    """The command line; what it cannot do ends with a sentence, before anything is drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--esc10", type=Path, default=None, help="folder of ESC-10 with metadata.csv")
    parser.add_argument("--fold", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("runs/measured"))
    parser.add_argument("--only", nargs="*", choices=("text", "real", "made", "speed"), default=None)
    parser.add_argument("--pictures", type=int, default=20, help="of each class")
    parser.add_argument("--seed", type=int, default=SEED, help="of the first picture of each class")
    parser.add_argument("--card", type=Path, default=None, help="model card to write the table to")
    args = parser.parse_args()
    args.only = args.only or [k for k in ("text", "real", "made", "speed") if k != "real" or args.esc10]
    if "real" in args.only and args.esc10 is None:
        raise OptionError("Got --only real without recordings; pass the folder of ESC-10 with --esc10.")
    find_model(args.model)
    return args


def measure(args: argparse.Namespace, figures: dict[str, Any]) -> dict[str, Any]:
    """The figures that are wanted, beside those of an earlier call with the same weights."""
    figures = dict(figures)
    if "speed" in args.only:  # first, before the process loads anything else
        figures["speed"] = measure_speed(args.model)
    if args.only == ["speed"]:
        return figures
    pipe = load_pipeline(args.model, "cpu")  # as the figures of the card were measured
    if "text" in args.only:
        figures["text"] = measure_from_text(pipe, args.out, args.pictures, args.seed)
    if "real" in args.only:
        clips = load_real_clips(args.esc10, args.fold)
        figures["real"] = measure_from_clips(pipe, clips, args.out, "real", args.pictures, args.seed)
    if "made" in args.only:
        figures["made"] = measure_from_clips(pipe, synthesise_clips(), args.out, "made", args.pictures, args.seed)
    return figures


def main() -> None:
    with errors_as_sentences():
        args = read_options()
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / "measured.json"
        weights = fingerprint(args.model)
        before = json.loads(path.read_text()) if path.exists() else {}
        figures = measure(args, before if before.get("weights") == weights else {"weights": weights})
        path.write_text(json.dumps(figures, indent=2) + "\n")
        text = format_table(figures) + format_speed(figures.get("speed", {}))
        (args.out / "measured.md").write_text(text)
        if args.card:
            write_card(args.card, text)
        print(text)


if __name__ == "__main__":
    main()
