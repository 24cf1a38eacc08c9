"""Render drawings of every thing from open emoji sets into one atlas; none of the art is committed.

Noto Emoji (Apache-2.0; Debian package fonts-noto-color-emoji), Fluent Emoji flat (MIT; npm @lobehub/fluent-emoji-flat)
and Twemoji (CC BY 4.0; npm @twemoji/svg) are fetched as packages; the chainsaw is drawn here (no set has one).
Each thing has two or three drawings, chosen by eye so that they share a pose: a small model blurs different poses.

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

SIDE = 96  # pixels of one drawing in the atlas
NPM = {"F": "@lobehub/fluent-emoji-flat@1.1.0", "T": "@twemoji/svg@15.0.0"}
SVG_FOLDER = {"F": "package/assets", "T": "package"}
DRAWINGS: dict[str, tuple[str, ...]] = {  # letter of the set (Noto, Twemoji, Fluent) and code point
    "dog": ("N1f436", "T1f436", "F1f436"),
    "rooster": ("N1f413", "F1f413"),
    "baby": ("N1f476", "T1f476", "F1f476"),
    "clock": ("N23f0", "T23f0", "F23f0"),
    "helicopter": ("N1f681", "T1f681", "F1f681"),
    "fire": ("N1f525", "T1f525", "F1f525"),
    "rain": ("N1f327", "T1f327"),
    "wave": ("N1f30a", "T1f30a", "F1f30a"),
    "person": ("N1f927", "T1f927", "F1f927"),
    "frog": ("N1f438", "T1f438", "F1f438"),
    "bird": ("N1f426", "T1f426"),
    "bell": ("N1f514", "T1f514", "F1f514"),
    "car": ("N1f697", "T1f697", "F1f697"),
    "train": ("T1f682", "F1f682"),
    "drum": ("N1f941", "T1f941"),
    "cat": ("N1f431", "T1f431", "F1f431"),
    "cow": ("N1f42e", "F1f42e"),
    "pig": ("N1f437", "T1f437", "F1f437"),
    "sheep": ("N1f411", "N1f40f"),
    "airplane": ("N2708", "T2708"),
    "guitar": ("N1f3b8", "T1f3b8", "F1f3b8"),
    "tree": ("N1f333", "T1f333", "F1f333"),
    "house": ("N1f3e0", "T1f3e0", "F1f3e0"),
}
CHAINSAW = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><g transform="rotate(-18 50 50)">
<rect x="46" y="44" width="50" height="17" rx="8.5" fill="#4a4f57"/>
<rect x="48" y="48" width="45" height="9" rx="4.5" fill="#cfd6dd"/>
{teeth}
<path d="M10 36 h32 a6 6 0 0 1 6 6 v22 a6 6 0 0 1 -6 6 H12 a8 8 0 0 1 -8 -8 V42 a6 6 0 0 1 6 -6z" fill="{body}"/>
<path d="M10 40 v-8 a10 10 0 0 1 10 -10 h14 a8 8 0 0 1 8 8 v8" fill="none" stroke="{dark}" stroke-width="7"/>
<circle cx="24" cy="53" r="10" fill="{dark}"/><circle cx="24" cy="53" r="4" fill="#e9edf2"/>
<rect x="36" y="44" width="8" height="18" rx="3" fill="{light}"/></g></svg>"""


def chainsaw(body: str, dark: str, light: str) -> str:
    """Our own SVG drawing: motor block, handle, bar with teeth."""
    rows = [(x, y, s) for x in range(50, 94, 7) for y, s in ((44, -4), (61, 4))]
    teeth = "".join(f'<path d="M{x} {y} l3.5 {s} l3.5 {-s}z" fill="#4a4f57"/>' for x, y, s in rows)
    return CHAINSAW.format(teeth=teeth, body=body, dark=dark, light=light)


def fetch(folder: Path) -> None:
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


def draw(name: str, folder: Path, size: int = 136) -> Image.Image:
    """One drawing as RGBA, cropped to its content and centred on a square with a small margin."""
    letter, code = name[0], name[1:]
    if letter == "N":
        font = ImageFont.truetype(str(next(folder.rglob("NotoColorEmoji.ttf"))), 109)  # the only size in the font
        image = Image.new("RGBA", (size, size))
        ImageDraw.Draw(image).text((0, 4), chr(int(code, 16)), font=font, embedded_color=True)
    else:
        image = svg_image((folder / letter / SVG_FOLDER[letter] / f"{code}.svg").read_text(), size)
    return squared(image)


def svg_image(svg: str, size: int = 136) -> Image.Image:
    import cairosvg

    png = cairosvg.svg2png(bytestring=svg.encode(), output_width=size, output_height=size)
    return Image.open(io.BytesIO(png)).convert("RGBA")


def squared(image: Image.Image, margin: float = 0.03) -> Image.Image:
    image = image.crop(image.getchannel("A").getbbox())
    side = round(max(image.size) * (1 + 2 * margin))
    canvas = Image.new("RGBA", (side, side))
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def atlas(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """All drawings as premultiplied RGBA (drawings, 4, 96, 96) uint8, and the index of each drawing's word in WORDS."""
    images, kinds = [], []
    for kind, word in enumerate(WORDS):
        if word == "chainsaw":
            colours = (("#e8352c", "#9d1d18", "#ffb020"), ("#f58220", "#b45309", "#ffe08a"))
            drawings = [squared(svg_image(chainsaw(*c))) for c in colours]
        else:
            drawings = [draw(name, folder) for name in DRAWINGS[word]]
        for image in drawings:
            rgba = np.asarray(image, np.float32)
            rgba[..., :3] *= rgba[..., 3:] / 255  # premultiplied, so that edges stay clean when resampled
            images.append(torch.from_numpy(rgba.round().astype(np.uint8)).permute(2, 0, 1))
            kinds.append(kind)
    return torch.stack(images), torch.tensor(kinds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/art"))
    out = parser.parse_args().out
    fetch(out / "packages")
    images, kinds = atlas(out / "packages")
    save_file({"images": images.contiguous(), "kinds": kinds}, out / "atlas.safetensors")
    sheet = Image.new("RGB", (SIDE * 12, SIDE * -(-len(images) // 12)), "#c8d0dc")
    for i, image in enumerate(images):
        drawing = Image.fromarray(image.permute(1, 2, 0).numpy(), "RGBA")
        sheet.paste(drawing, (i % 12 * SIDE, i // 12 * SIDE), drawing)
    sheet.save(out / "sheet.png")


if __name__ == "__main__":
    main()
