"""A folder to rate: three clips, two systems, and sides that are asked of one clip."""

import json

import numpy as np
import soundfile
from PIL import Image

CLIPS, SYSTEMS = ("bell", "dog", "frog"), ("mono", "combined")
OBJECTS = {"frog": ["frog on the left", "bell on the right"]}
QUESTIONS = 2 * (1 + 1 + 3)  # of one rater


def rate_folder(folder):
    (folder / "clips").mkdir(parents=True)
    (folder / "objects.json").write_text(json.dumps(OBJECTS))
    for i, clip in enumerate(CLIPS):
        soundfile.write(folder / "clips" / f"{clip}.wav", np.full((800, 2), 0.1 * (i + 1)), 8000)
        for j, system in enumerate(SYSTEMS):
            (folder / system).mkdir(exist_ok=True)
            Image.new("RGB", (8, 8), (60 * i, 60 * j, 99)).save(folder / system / f"{clip}.png")
    return folder
