"""A large set, shard by shard: every sound of one shard is drawn and looked at; a worker for each shard.

Figures: `count` of sounds; `heard`: share that the encoder calls by their label; `recognised`: share of pictures in
which the detector sees their label first; both among sounds whose label they know. In the run's folder: drawn/KEY.png,
and lines.jsonl with what was heard and seen. If it is killed, it continues after the last picture.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from audiotoken.audio import to_mono
from audiotoken.data.web_shards import WebShards, expand_shards
from audiotoken.errors import OptionError
from audiotoken.manifest import append_line, read_lines
from audiotoken.mini.things import WORDS
from audiotoken.stereo.words import score_subjects
from audiotoken.writing import write_image
from experiments.ablations.shared import load_pipeline_once
from experiments.world.measure import recognise_things
from guidance.sampling import sample


def draw_shard(
    *,
    model: str = "mini",
    shards: str = "",
    shard: int = 0,
    prompt: str = "a photo of <audio>",
    token: str | None = None,
    sampling_steps: int | None = None,
    batch: int = 8,
    limit: int | None = None,
    seed: int,
    out: str | os.PathLike,
) -> dict[str, float]:
    """Draw what is in shard number `shard` of `shards` (webdataset: a folder, shard-{000000..000012}.tar, addresses).

    token: "learned" or "label", null: learned where the model has an embedder. limit: number of sounds, null: all.
    Picture i of a shard is drawn with `seed + i`.
    """
    places = expand_shards(shards) if shards else []
    if not 0 <= shard < len(places):
        raise OptionError(f"Got shard={shard} of {len(places)} in {shards!r}, expected one of these; change shard.")
    source, folder = WebShards(places[shard]), Path(out)
    names = [source.key(i) for i in range(len(source))][:limit]
    (folder / "drawn").mkdir(parents=True, exist_ok=True)
    there = read_lines(folder / "lines.jsonl")
    todo = [i for i, key in enumerate(names) if key not in there]
    pipe = load_pipeline_once(model)
    for some in _split(todo, batch):
        _draw(pipe, source, some, folder, {"prompt": prompt, "token": token, "steps": sampling_steps, "seed": seed})
    return summarise_lines([line for key, line in read_lines(folder / "lines.jsonl").items() if key in names])


def summarise_lines(lines: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Shares of what was heard and seen correctly; nan where no label is known."""
    heard = [line["heard"] == line["label"] for line in lines if line["label"] and line["heard"]]
    seen = [line["seen"] == line["label"] for line in lines if line["label"] and line["seen"]]
    shares = {name: sum(right) / len(right) if right else float("nan") for name, right in _named(heard, seen)}
    return {"count": float(len(lines)), **shares}


def _named(heard: list[bool], seen: list[bool]) -> Iterator[tuple[str, list[bool]]]:
    yield from (("heard", heard), ("recognised", seen))


def _draw(pipe: Any, source: Any, some: Sequence[int], folder: Path, how: dict[str, Any]) -> None:
    """Draw a batch: write the pictures first, then their lines."""
    examples = [source[i] for i in some]
    heard = [pipe.classify(to_mono(each.recording), each.rate) for each in examples]
    sounds = [pipe.audio_prompts(to_mono(each.recording), each.rate, how["token"])[0] for each in examples]
    prompts = [pipe.encode_prompts(how["prompt"], [sound])[0] for sound in sounds]
    images = sample(
        pipe, prompts, energy="none", seed=[how["seed"] + i for i in some], num_inference_steps=how["steps"]
    ).images
    known = [each.label in WORDS for each in examples]
    seen = recognise_things(images) if any(known) and images[0].size == (128, 128) else [""] * len(images)
    for each, image, told, what, knows in zip(examples, images, heard, seen, known, strict=True):
        write_image(image, folder / "drawn" / f"{Path(each.key).name}.png")
        best = score_subjects(told)
        said = max(best, key=lambda name: best[name], default="")
        append_line(
            folder / "lines.jsonl",
            {"clip": each.key, "label": each.label, "heard": said, "seen": what if knows else ""},
        )


def _split(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]
