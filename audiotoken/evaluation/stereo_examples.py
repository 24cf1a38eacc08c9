"""Examples whose clips are stereo: where each is heard, so that pictures can be scored by place."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from audiotoken.audio import load_beginning
from audiotoken.evaluation.clips import Example
from audiotoken.evaluation.consistency import Frame, Heard, check_picture
from audiotoken.evaluation.seeing import See
from audiotoken.stereo.layouts import place_boxes
from spatial.camera import Camera
from spatial.windows import listen_at_length

SECONDS = 60.0  # that are listened to, as in `place`


def hear_example(example: Example, camera: Camera) -> list[Heard]:
    """The loudest sound of a stereo file under the example's word; nothing if it has no direction or no word."""
    if not isinstance(example.sound, Path) or not example.word:
        return []
    recording, rate, _ = load_beginning(example.sound, SECONDS)
    if len(recording) < 2:
        return []
    scene = listen_at_length(recording[:2], rate, count=1)
    boxes = place_boxes(scene, range(min(1, len(scene.sources))), [example.word], camera.fov)
    return [Heard(example.word, scene.sources[i], box) for i, box in boxes.items()]


def score_places(
    images: Sequence[Image], heard: Sequence[Sequence[Heard]], see: See, camera: Camera
) -> dict[str, NDArray[np.float32]]:
    """`placed`: the score of `consistency` for each picture; empty if no clip has a direction to the side."""
    seen = see(images, [[each.word for each in row] for row in heard])
    pairs = zip(heard, seen, strict=True)
    checks = [check_picture(row, [Frame(None, tuple(found))], camera) for row, found in pairs]
    if not any(check.compares for check in checks):
        return {}
    return {"placed": np.array([check.score for check in checks], np.float32)}
