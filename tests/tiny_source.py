"""Examples in memory, as a source of `audiotoken.data` gives them; some of them broken on request."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from audiotoken.data import Example
from audiotoken.errors import DataError

RATE = 16_000
LABELS = ("dog", "rain", "bell")

Indices = Sequence[int]


class TinySource:
    """Example i is a tone of its own pitch and a picture of its own colours, oblong; `broken` ones cannot be read."""

    def __init__(
        self, count: int, broken: Sequence[int] = (), unlabelled: Sequence[int] = (), silent: Sequence[int] = ()
    ):
        self.count, self.broken, self.unlabelled, self.silent = count, broken, unlabelled, silent
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.count

    def key(self, i: int) -> str:
        return f"clip-{i:03}"

    def label(self, i: int) -> str:
        return "" if i in self.unlabelled else LABELS[i % 3]

    def __getitem__(self, i: int) -> Example:
        self.asked.append(i)
        if i in self.broken:
            raise DataError(f"Cannot read {self.key(i)}.png: it is cut off; get it again.")
        rng = np.random.default_rng(i)
        sweep = np.sin(np.arange(RATE) * (0.05 + 0.01 * i) + np.linspace(0, 9, RATE) ** 2)
        recording = np.stack([sweep, 0.5 * sweep]).astype(np.float32) * (0.0 if i in self.silent else 0.5)
        picture = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
        return Example(self.key(i), self.label(i), recording, RATE, Image.fromarray(picture).resize((54, 36)))
