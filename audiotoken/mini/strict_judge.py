"""A strict judge of pictures of the painted world: it sees a thing only where one is drawn whole and well.

The detector beside it names melted things by their colours. The judge is trained with warped, melted, merged, halved,
doubled, blurred and recoloured things as nothing (`experiments.world.training.train_judge`), on several drawings of
every thing. It also says which of the ten backdrops a picture has.

Conventions: pictures are (batch, 3, 128, 128) in [-1, 1]; cells are 8 x 8 pixels; centres (x, y) are in [0, 1], origin
top left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy import ndimage
from torch import Tensor, nn

from audiotoken.errors import CheckpointError
from audiotoken.mini.object_detector import SIDE, Detector
from audiotoken.mini.things import BACKDROPS, WORDS

NOTHING = len(WORDS)  # class of a cell that is no centre of a whole thing, or shows none
SPOILT = NOTHING + 1  # class of a cell that shows a spoilt thing
NO_BACKDROP = len(BACKDROPS)
HEADS = (NOTHING + 1, SPOILT + 1, NO_BACKDROP + 1)  # classes of centres, cells, backdrops
SPOILT_AT_MOST = 0.05  # share of the picture: with more of it, nothing in the picture is whole
BATCH = 32
FILE = "model.safetensors"


@dataclass(frozen=True, eq=False)
class Marks:
    """Logits of the judge."""

    centres: Tensor  # (batch, 25, 16, 16): kind of the whole thing whose centre is here, or NOTHING
    cells: Tensor  # (batch, 26, 16, 16): what the cell shows: a kind, NOTHING or SPOILT
    backdrops: Tensor  # (batch, 11): BACKDROPS, or none of them


class StrictJudge(nn.Module):
    """The body of the detector with three heads; a whole thing is in view of every cell at its centre.

    threshold: probability in [0, 1] from which a thing is accepted.
    """

    def __init__(self, width: int = 32, threshold: float = 0.5):
        super().__init__()
        self.threshold = threshold
        self.body = Detector(width).body
        self.head = nn.Conv2d(4 * width, sum(HEADS), 1)

    def forward(self, images: Tensor) -> Marks:
        centres, cells, backdrops = self.head(self.body(images)).split(HEADS, 1)
        return Marks(centres, cells, backdrops.mean((2, 3)))


@dataclass(frozen=True)
class WholeThing:
    """A thing that the judge accepts."""

    word: str
    centre: tuple[float, float]
    score: float  # probability at the most certain cell of its centre, in [0, 1]


@dataclass(frozen=True)
class Verdict:
    """What the judge sees in one picture."""

    things: tuple[WholeThing, ...]  # the most certain first
    spoilt: float  # share of the picture that shows spoilt things
    backdrop: str | None  # one of BACKDROPS, or None

    def count(self, word: str) -> int:
        return sum(thing.word == word for thing in self.things)

    def find(self, word: str) -> WholeThing | None:
        """The most certain thing of that word."""
        return next((thing for thing in self.things if thing.word == word), None)

    def names(self, word: str) -> bool:
        """The most certain thing is the word."""
        return bool(self.things) and self.things[0].word == word

    def accepts(self, word: str) -> bool:
        """The most certain thing is the word, and next to nothing in the picture is spoilt."""
        return self.names(word) and self.spoilt <= SPOILT_AT_MOST

    def is_one(self, word: str) -> bool:
        """The picture shows one whole thing, which is the word, and next to nothing that is spoilt."""
        return len(self.things) == 1 and self.accepts(word)


@torch.no_grad()
def judge(images: Tensor, model: StrictJudge | None = None) -> list[Verdict]:
    """Pictures (batch, 3, 128, 128) in [-1, 1] -> verdicts, by the shipped judge by default."""
    model, verdicts = model or load_judge(), []
    for some in images.split(BATCH):
        marks = model(some)
        centres, cells = marks.centres.softmax(1).numpy(), marks.cells.softmax(1)[:, SPOILT].numpy()
        backdrops = marks.backdrops.argmax(1).tolist()
        for share, spoilt, backdrop in zip(centres, cells, backdrops, strict=True):
            name = None if backdrop == NO_BACKDROP else BACKDROPS[backdrop]
            verdicts.append(Verdict(find_things(share, model.threshold), float((spoilt > 0.5).mean()), name))
    return verdicts


def judge_pictures(images: Sequence[Image], model: StrictJudge | None = None) -> list[Verdict]:
    """Verdicts on pictures of any size."""
    if not images:
        return []
    arrays = [np.asarray(image.convert("RGB").resize((SIDE, SIDE)), np.float32) for image in images]
    return judge(torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2) / 127.5 - 1, model)


def find_things(shares: np.ndarray, threshold: float) -> tuple[WholeThing, ...]:
    """Things in the probabilities of centres (25, 16, 16): connected cells of one kind, if one reaches `threshold`."""
    things, top = [], shares.argmax(0)
    for kind in np.unique(top[top != NOTHING]):
        groups, count = ndimage.label(top == kind, structure=np.ones((3, 3)))
        for i in range(1, count + 1):
            own = shares[kind] * (groups == i)
            if own.max() >= threshold:
                y, x = ((at + 0.5) / len(own) for at in ndimage.center_of_mass(own))
                things.append(WholeThing(WORDS[kind], (x, y), float(own.max())))
    return tuple(sorted(things, key=lambda thing: -thing.score))


def save_judge(weights: dict[str, Tensor], threshold: float, folder: Path) -> None:
    """Half precision; the threshold is in the metadata of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.half().contiguous() for name, value in weights.items()}
    save_file(tensors, folder / FILE, metadata={"threshold": f"{threshold:.4f}"})


@cache
def load_judge(folder: Path | None = None) -> StrictJudge:
    """The shipped judge, or the one in `folder`; raises CheckpointError if it is missing."""
    path = (folder or Path(str(files("audiotoken.mini"))) / "judge") / FILE
    if not path.exists():
        raise CheckpointError(
            f"Cannot load {path}: there is no such file; train it with "
            "`python -m experiments.world.training.train_judge`."
        )
    with safe_open(path, "pt") as file:
        model = StrictJudge(threshold=float(file.metadata()["threshold"]))
    model.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return model.eval().requires_grad_(False)
