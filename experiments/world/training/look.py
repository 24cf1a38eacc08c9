"""Draw what a run has learned so far, or a finished checkpoint: one labelled picture for every prompt.

python -m experiments.world.training.look --run runs/mini --out look.png --average 0.05
python -m experiments.world.training.look --model mini --out look.png
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from audiotoken.mini.object_detector import SIDE
from audiotoken.mini.things import WORDS
from audiotoken.model import load_pipeline
from audiotoken.protocols import SoundPipeline
from experiments.world.captions import PLACES
from experiments.world.measure import article
from experiments.world.training.assemble import GUIDANCE, build_pipeline
from experiments.world.training.loop import AVERAGES

PROMPTS = (
    *(f"a photo of {article(word)}" for word in WORDS),
    *(f"a dog {places[0]}" for places in PLACES.values()),
    *("a dog and a frog", "two frogs", "a cat and a car", "a bird and a house", "a cow and a pig", "three bells"),
)
BATCH = 10


def draw_pictures(pipe: SoundPipeline, prompts: Sequence[str], seed: int, guidance: float) -> list[Image.Image]:
    images: list[Image.Image] = []
    for i in range(0, len(prompts), BATCH):
        images += pipe(prompt=list(prompts[i : i + BATCH]), guidance_scale=guidance, seed=seed).images
    return images


def make_sheet(images: Sequence[Image.Image], prompts: Sequence[str], columns: int = 10) -> Image.Image:
    """One page of pictures, each above its prompt."""
    page = Image.new("RGB", ((SIDE + 2) * columns, (SIDE + 16) * -(-len(images) // columns)), "white")
    for i, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
        x, y = i % columns * (SIDE + 2), i // columns * (SIDE + 16)
        page.paste(image, (x, y))
        ImageDraw.Draw(page).text((x + 2, y + SIDE + 2), prompt.removeprefix("a photo of ")[:24], fill="black")
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/mini"))
    parser.add_argument("--model", default=None, help="a finished checkpoint instead of a run")
    parser.add_argument("--out", type=Path, default=Path("look.png"))
    parser.add_argument("--average", type=float, default=AVERAGES[0], choices=AVERAGES)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    pipe = load_pipeline(args.model) if args.model else build_pipeline(args.run, average=args.average)
    make_sheet(draw_pictures(pipe, PROMPTS, args.seed, args.guidance), PROMPTS).save(args.out)


if __name__ == "__main__":
    main()
