"""One drawing a thing, chosen by eye so that it can be named at 40 pixels; rendered into one atlas, never committed.

Noto Emoji (Apache-2.0; Debian package fonts-noto-color-emoji), Fluent Emoji flat (MIT; npm @lobehub/fluent-emoji-flat)
and Twemoji (CC BY 4.0; npm @twemoji/svg) come as packages; six drawings are our own. Several drawings of one thing
average into none of them in a small model; a single one is learned much sooner.

    python -m experiments.world.art --out runs/art        # a minute; writes atlas.safetensors and sheet.png
"""

import argparse
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import save_file

from audiotoken.mini.things import WORDS
from experiments.world import own_art

SIDE = 96  # pixels of one drawing in the atlas
NPM = {"F": "@lobehub/fluent-emoji-flat@1.1.0", "T": "@twemoji/svg@15.0.0"}
SVG_FOLDER = {"F": "package/assets", "T": "package"}
DRAWINGS: dict[str, str] = {  # set letter (Noto, Twemoji, Fluent) and code point; the rest is in own_art.py
    "dog": "F1f436",
    "rooster": "F1f413",
    "clock": "F23f0",
    "fire": "N1f525",
    "person": "F1f927",
    "frog": "F1f438",
    "bird": "T1f426",
    "bell": "N1f514",
    "car": "T1f697",
    "train": "F1f682",
    "drum": "T1f941",
    "cat": "F1f431",
    "cow": "F1f42e",
    "pig": "T1f437",
    "sheep": "N1f411",
    "guitar": "T1f3b8",
    "tree": "F1f333",
    "house": "F1f3e0",
}


def fetch_sets(folder: Path) -> None:
    """Download the packages of the three sets and unpack them into `folder`, once."""
    folder.mkdir(parents=True, exist_ok=True)
    if missing := [tool for tool in ("npm", "tar", "apt-get", "dpkg") if shutil.which(tool) is None]:
        raise SystemExit(f"{missing[0]} is not installed, but the art is fetched as packages; install it first.")
    for letter, package in NPM.items():
        target = folder / letter
        if target.is_dir():
            continue
        name = subprocess.run(
            ["npm", "pack", "--silent", package], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.split()[-1]
        target.mkdir()
        subprocess.run(["tar", "xzf", folder / name, "-C", target], check=True)
    if not any(folder.rglob("NotoColorEmoji.ttf")):
        subprocess.run(["apt-get", "download", "-qq", "fonts-noto-color-emoji"], cwd=folder, check=True)
        subprocess.run(["dpkg", "-x", next(folder.glob("fonts-noto*.deb")), folder / "N"], check=True)


def draw_thing(word: str, folder: Path) -> Image.Image:
    """The thing on a square of 96 pixels, RGBA."""
    if word in own_art.DRAWINGS:
        return centre_on_square(render_svg(own_art.DRAWINGS[word]))
    return render_drawing(DRAWINGS[word], folder)


def render_drawing(name: str, folder: Path, size: int = 136) -> Image.Image:
    """One drawing as RGBA, cropped to its content and centred on a square with a small margin."""
    letter, code = name[0], name[1:]
    if letter == "N":
        font = ImageFont.truetype(str(next(folder.rglob("NotoColorEmoji.ttf"))), 109)  # the only size in the font
        image = Image.new("RGBA", (size, size))
        ImageDraw.Draw(image).text((0, 4), chr(int(code, 16)), font=font, embedded_color=True)
    else:
        image = render_svg((folder / letter / SVG_FOLDER[letter] / f"{code}.svg").read_text(), size)
    return centre_on_square(image)


def render_svg(svg: str, size: int = 136) -> Image.Image:
    import cairosvg

    png = cairosvg.svg2png(bytestring=svg.encode(), output_width=size, output_height=size)
    return Image.open(io.BytesIO(png)).convert("RGBA")


def centre_on_square(image: Image.Image, margin: float = 0.03) -> Image.Image:
    image = image.crop(image.getchannel("A").getbbox())
    side = round(max(image.size) * (1 + 2 * margin))
    canvas = Image.new("RGBA", (side, side))
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def make_atlas(folder: Path) -> torch.Tensor:
    """(24, 4, 96, 96) uint8, premultiplied RGBA, in the order of WORDS."""
    return torch.stack([premultiply(draw_thing(word, folder)) for word in WORDS])


def premultiply(image: Image.Image) -> torch.Tensor:
    """RGBA -> (4, h, w) uint8 with colours times coverage: edges stay clean when resampled."""
    rgba = np.asarray(image, np.float32).copy()
    rgba[..., :3] *= rgba[..., 3:] / 255
    return torch.from_numpy(rgba.round().astype(np.uint8)).permute(2, 0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/art"))
    out = parser.parse_args().out
    fetch_sets(out / "packages")
    images = make_atlas(out / "packages")
    save_file({"images": images.contiguous(), "kinds": torch.arange(len(WORDS))}, out / "atlas.safetensors")
    sheet = Image.new("RGB", (SIDE * 12, SIDE * 2), "#c8d0dc")
    for i, image in enumerate(images):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy(), "RGBA")
        sheet.paste(picture, (i % 12 * SIDE, i // 12 * SIDE), picture)
    sheet.save(out / "sheet.png")


if __name__ == "__main__":
    main()
