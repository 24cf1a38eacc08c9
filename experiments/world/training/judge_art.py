"""The art of the strict judge: several drawings of every thing, so that it knows the thing and not one drawing of it.

The world's own drawing comes first, then drawings of the same thing from other open emoji sets, which no scene shows.

    python -m experiments.world.training.judge_art --out runs/art        # writes judge.safetensors and judge.png
"""

import argparse
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from audiotoken.mini.things import WORDS
from experiments.world.art import SIDE, draw_thing, fetch_sets, premultiply, render_drawing

OTHERS: dict[str, tuple[str, ...]] = {  # letter of the set (Noto, Twemoji, Fluent) and code point, as in art.py
    "dog": ("N1f436", "T1f436"),
    "rooster": ("N1f413",),
    "baby": ("T1f476-1f3fb", "F1f476-1f3fc", "T1f476-1f3fe"),  # skin, as in the world: a yellow one is recoloured
    "clock": ("N23f0", "T23f0"),
    "helicopter": ("N1f681", "T1f681", "F1f681"),
    "fire": ("T1f525", "F1f525"),
    "rain": ("N1f327", "T1f327"),
    "wave": ("N1f30a", "T1f30a", "F1f30a"),
    "person": ("N1f927", "T1f927"),
    "frog": ("N1f438", "T1f438"),
    "bird": ("N1f426",),
    "bell": ("T1f514", "F1f514"),
    "car": ("N1f697", "F1f697"),
    "train": ("T1f682",),
    "drum": ("N1f941",),
    "cat": ("N1f431", "T1f431"),
    "cow": ("N1f42e",),
    "pig": ("N1f437", "T1f437"),
    "airplane": ("N2708", "T2708"),
    "guitar": ("N1f3b8", "F1f3b8"),
    "tree": ("N1f333", "T1f333"),
    "house": ("N1f3e0", "T1f3e0"),
}


def draw_bank(folder: Path) -> tuple[Tensor, Tensor]:
    """(drawings, 4, 96, 96) uint8 premultiplied, and the index in WORDS of each; a word's first one is the world's."""
    images, kinds = [], []
    for kind, word in enumerate(WORDS):
        drawings = [draw_thing(word, folder), *(render_drawing(name, folder) for name in OTHERS.get(word, ()))]
        images += [premultiply(image) for image in drawings]
        kinds += [kind] * len(drawings)
    return torch.stack(images), torch.tensor(kinds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/art"))
    out = parser.parse_args().out
    fetch_sets(out / "packages")
    images, kinds = draw_bank(out / "packages")
    save_file({"images": images.contiguous(), "kinds": kinds}, out / "judge.safetensors")
    sheet = Image.new("RGB", (SIDE * 12, SIDE * -(-len(images) // 12)), "#c8d0dc")
    for i, image in enumerate(images):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy(), "RGBA")
        sheet.paste(picture, (i % 12 * SIDE, i // 12 * SIDE), picture)
    sheet.save(out / "judge.png")


if __name__ == "__main__":
    main()
