"""What is seen in pictures: a detector that is asked in words, behind one function."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL.Image import Image

from audiotoken.errors import OptionError
from audiotoken.hub_access import use_hub_if_reachable
from audiotoken.mini.object_detector import SIDE, detect, load_detector
from audiotoken.mini.things import WORDS
from guidance.boxes import Box
from guidance.detect import load_detector as load_open_vocabulary
from guidance.metrics import Detection

# (pictures, the words to look for in each) -> what is there of them, with boxes
See = Callable[[Sequence[Image], Sequence[Sequence[str]]], list[list[Detection]]]


def load_see(detector: str, device: str | torch.device = "cpu") -> See:
    """ "mini" sees the things of the painted world; others are folders or hub ids (see `guidance.detect`)."""
    if detector == "mini":
        return see_painted
    use_hub_if_reachable(detector)
    return load_open_vocabulary(detector, device=device)


def check_words(detector: str, words: Sequence[str]) -> None:
    """OptionError for words that the detector cannot look for."""
    strange = sorted({word for word in words if detector == "mini" and word not in WORDS})
    if strange:
        raise OptionError(
            f"The detector mini knows the {len(WORDS)} things of the painted world, but not {', '.join(strange)}; "
            "give an open one such as google/owlv2-base-patch16-ensemble."
        )


def see_painted(pictures: Sequence[Image], words: Sequence[Sequence[str]]) -> list[list[Detection]]:
    """Detections by the mini checkpoint's detector, one a word at most; words that it does not know are not seen."""
    return [detections for detections, _ in see_with_confidence(pictures, words)]


@torch.no_grad()
def see_with_confidence(
    pictures: Sequence[Image], words: Sequence[Sequence[str]]
) -> list[tuple[list[Detection], list[float]]]:
    """(detections, the detector's mean confidence in each, 0 to 1) of each picture."""
    if not pictures:
        return []
    arrays = [np.asarray(each.convert("RGB").resize((SIDE, SIDE)), np.float32) for each in pictures]
    batch = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2) / 127.5 - 1
    painted, shares = detect(load_detector(), batch), load_detector()(batch).softmax(1)  # (batch, 25, 16, 16)
    present, cells = painted.present(), shares.shape[-1] ** 2
    out = []
    for i, each in enumerate(words):
        kinds = [WORDS.index(word) for word in dict.fromkeys(each) if word in WORDS]
        kinds = [kind for kind in kinds if present[i, kind]]
        confidences = [_measure_confidence(shares[i], kind) for kind in kinds]
        detections = []
        for kind, confidence in zip(kinds, confidences, strict=True):
            x, y = painted.centre[i, kind].tolist()
            area = painted.area[i, kind].item() / cells
            detections.append(Detection(WORDS[kind], (x, y), _box_around(shares[i, kind]), area, confidence))
        out.append((detections, confidences))
    return out


def _measure_confidence(shares: torch.Tensor, kind: int) -> float:
    """The mean share of a class in the cells where it is the largest, (classes, h, w) -> 0 to 1."""
    own = shares[kind][shares.argmax(0) == kind]
    return own.mean().item() if len(own) else 0.0


def _box_around(share: torch.Tensor) -> Box | None:
    """The box around all cells whose share is above one half, (h, w) -> box; None if there are none."""
    rows, columns = (share > 0.5).any(1).nonzero().flatten(), (share > 0.5).any(0).nonzero().flatten()
    if not len(rows):
        return None
    h, w = share.shape
    return int(columns[0]) / w, int(rows[0]) / h, int(columns[-1] + 1) / w, int(rows[-1] + 1) / h
