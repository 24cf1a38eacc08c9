"""Embed painted scenes with the mini judges: the reference for FID and IIS of the painted world.

    python -m experiments.world.training.painted_reference --clip audiotoken/mini/clip
    python -m experiments.world.training.painted_reference --clip runs/mini/clip --detector runs/mini/detector

Only embeddings are saved, because the art is not ours to ship. The scenes have one or two things; their seeds are not
used in any training.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from audiotoken.clip import load_clip
from audiotoken.evaluation.judges import REFERENCE, run_detector
from audiotoken.mini.object_detector import load_detector
from audiotoken.mini.things import WORDS
from experiments.world.scenes import Painter
from experiments.world.training.train_clip import to_pictures

FIRST_SEED = 980_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--clip", type=Path, default=Path("audiotoken/mini/clip"), help="folder; the result goes there")
    parser.add_argument("--detector", type=Path, default=None, help="folder; default: the shipped detector")
    parser.add_argument("--each", type=int, default=12, help="scenes per word")
    parser.add_argument("--pairs", type=int, default=288, help="scenes with two things")
    args = parser.parse_args()
    clip, painter, detector = load_clip(args.clip), Painter(args.atlas), load_detector(args.detector)
    images: list[Any] = []
    kinds: list[int] = []
    seed = FIRST_SEED
    while len(kinds) < len(WORDS) * args.each:
        scenes = painter.paint(96, seed, counts=(1.0, 0, 0, 0))
        for image, kind in zip(to_pictures(scenes.images), scenes.kinds[:, 0].tolist(), strict=True):
            if kinds.count(kind) < args.each:
                images.append(image)
                kinds.append(kind)
        seed += 1
    pairs = to_pictures(painter.paint(args.pairs, FIRST_SEED - 1, counts=(0, 1.0, 0, 0)).images)
    seen = {"clip": clip.embed_images(images), "features": run_detector(images, detector=detector)[0]}
    seen |= {"pair_clip": clip.embed_images(pairs), "pair_features": run_detector(pairs, detector=detector)[0]}
    tensors = {name: values.astype(np.float16) for name, values in seen.items()}
    save_file(tensors | {"kinds": np.array(kinds, np.int64)}, args.clip / REFERENCE)


if __name__ == "__main__":
    main()
