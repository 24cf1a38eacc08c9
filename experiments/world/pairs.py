"""Write a small training set: synthesised sounds, and pictures of them drawn by the mini checkpoint.

    python -m experiments.world.pairs --out pairs         # 8 pairs for each of 16 classes
    python -m experiments.train recipe=mini source=pairs source.folder=pairs out=runs/pairs

The trainer can be tried and tested on these meaningful data without a download. The pictures are drawn from words ("a
photo of a dog"), so an embedder trained on them learns the meaning of the words.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS
from audiotoken.model import load_pipeline
from audiotoken.protocols import SoundPipeline
from audiotoken.writing import write_image
from experiments.world.measure import article

RATE = 16_000
SECONDS = 4.0


def write_pairs(
    pipe: SoundPipeline,
    folder: Path,
    words: Sequence[str] = AUDIBLE_WORDS,
    each: int = 8,
    steps: int | None = None,
    seed: int = 0,
) -> None:
    """Write `folder/word/word-0.wav` and `.png`, and so on; complete words are kept."""
    import soundfile

    for word in words:
        names = [folder / word / f"{word}-{i}" for i in range(each)]
        if all(name.with_suffix(".png").exists() for name in names):
            continue
        prompt = f"a photo of {article(word)}"
        images = pipe(prompt=prompt, num_images_per_prompt=each, num_inference_steps=steps, seed=seed).images
        (folder / word).mkdir(parents=True, exist_ok=True)
        for i, (name, image) in enumerate(zip(names, images, strict=True)):
            sound = synthesise(word, RATE, SECONDS, 900_000 + seed + i)
            soundfile.write(name.with_suffix(".wav"), sound, RATE, subtype="PCM_16")
            write_image(image, name.with_suffix(".png"))  # last, because it marks a complete pair


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("pairs"))
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--words", nargs="+", default=list(AUDIBLE_WORDS), choices=AUDIBLE_WORDS)
    args = parser.parse_args()
    pipe = load_pipeline("mini")
    for word in args.words:
        write_pairs(pipe, args.out, [word], args.each)
        print(f"{args.out / word}: {args.each} pairs", flush=True)


if __name__ == "__main__":
    main()
