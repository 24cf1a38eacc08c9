"""Do the pictures show what was heard? AIS, IIS, AIC and FID of several systems on the same clips, with intervals.

    python -m experiments.evaluate n=32 out=runs/evaluated                 # synthesised clips, the mini models
    python -m experiments.evaluate clips=ESC10_FOLDER folds=[4] n=40 seeds=[0,1]
    python -m experiments.evaluate clips=clips pictures=pictures real=real clip=openai/clip-vit-base-patch32 \
        wav2clip=Wav2CLIP.pt features=facebook/dinov2-small
    python -m experiments.evaluate clips=clips unclip=stabilityai/stable-diffusion-2-1-unclip \
        embeddings=imagebind.safetensors

Systems: `text` draws the label as text (upper bound), `audio` is AudioToken (mono, the learned token), `label` draws
the name of what was heard, `unclip` is Stable unCLIP told by an embedding of the sound (see `evaluation.unclip`),
`given` are the `pictures` of a folder, `random` gives each clip the picture of another one, of `given`, else of `audio`
(lower bound). Written into `out`: metrics.json, table.md, table.csv, and examples.csv with
every single score.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotoken.data.image_file import read_image
from audiotoken.errors import OptionError, printable
from audiotoken.evaluation.clips import Example, gather, picture_of
from audiotoken.evaluation.judges import Judges, Reference
from audiotoken.evaluation.pictures import Drawing
from audiotoken.evaluation.table import Report
from audiotoken.evaluation.unclip import Unclip, open_unclip
from audiotoken.metrics import per_example
from audiotoken.mini.things import WORDS
from audiotoken.options import check_options
from audiotoken.writing import cannot_write

if TYPE_CHECKING:
    import numpy as np


SYSTEMS = ("text", "audio", "label", "unclip", "given", "random")
Scores = dict[str, "np.ndarray"]  # by name, (seeds, examples)


def evaluate(
    clips: str | os.PathLike = "made",
    *,
    n: int | None = None,
    folds: Sequence[int] | None = None,
    pictures: str | os.PathLike | None = None,
    real: str | os.PathLike | None = None,
    words: Mapping[str, str] | None = None,
    classes: Sequence[str] | None = None,
    systems: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    model: str = "mini",
    unclip: str | None = None,
    embeddings: str | os.PathLike | None = None,
    unclip_name: str | None = None,
    clip: str = "mini",
    wav2clip: str = "mini",
    features: str = "mini",
    steps: int | None = None,
    guidance: float | None = None,
    batch: int = 8,
    device: str | None = None,
    resamples: int = 1000,
    out: str | os.PathLike = "runs/evaluated",
    on_row: Callable[[str], None] | None = None,
) -> str:
    """-> the Markdown table. OptionError, CheckpointError or AudioError, one sentence, for what cannot be followed.

    Clips and their labels are as in `evaluation.set.gather`; `real` is a folder of real pictures with the clips' names,
    without it the mini judges compare with painted scenes of the same words. `classes` are what AIC chooses among: by
    default the labels' words, for the mini CLIP all 24 things. systems: by default all but `given`, with `pictures`
    only `given` and `random`; `unclip` where that model is given. It is told by the vectors in `embeddings`, else by
    Wav2CLIP; its row is called `unclip_name`, else after what told and what drew. Judges are "mini", folders or hub
    ids; Wav2CLIP also the published file.
    """
    chosen = _systems(systems, pictures, unclip, embeddings, unclip_name)
    check_options(dtype="float32", steps=steps, guidance=guidance, batch=batch)
    if not seeds or resamples < 1:
        raise OptionError(f"Got seeds={list(seeds)}, resamples={resamples}, want one of each or more; change it.")
    folder, tell = _folder(out), on_row or (lambda text: None)
    examples = gather(clips, n, folds=folds, real=real, words=words)
    if not all(each.label for each in examples) and "text" in chosen:
        raise OptionError(f"The clips in {clips} have no labels, want a sub-folder for each; or leave out text.")
    judges = Judges(clip, wav2clip, features, device)
    names = _classes(classes, examples, clip)
    facts: dict[str, Any] = {"model": model, **judges.names, "rate": judges.wav2clip.rate}
    beside = open_unclip(unclip, embeddings, examples, judges) if unclip is not None and "unclip" in chosen else None
    called = {} if beside is None else {"unclip": unclip_name or beside.name}
    facts |= {} if beside is None else {"unclip": unclip, "told": beside.source}
    report = Report(examples, seeds, names, facts, resamples, called)
    options: dict[str, Any] = {"model": model, "device": device, "steps": steps, "guidance": guidance, "batch": batch}
    heard, reference = judges.sounds(examples), judges.reference(examples)
    draw = _drawer(chosen, examples, folder, pictures, beside, heard, **options)
    for system in chosen:
        shown = [draw(system, seed, tell) for seed in seeds]
        seen = [(judges.clip.images(images), judges.features(images)) for images in shown]
        scores = [_score(judges, examples, each, heard, reference, names) for each, _ in seen]
        for images, values in zip(shown, scores, strict=True):
            values |= judges.named(images, [example.word for example in examples])
        report.add(system, scores, None if system == "random" else seen, reference)
        tell("  ".join(report.row(system)))
    report.write(folder)
    return report.table()


def _score(
    judges: "Judges",
    examples: Sequence["Example"],
    seen: "np.ndarray",
    heard: "np.ndarray",
    reference: "Reference | None",
    classes: Sequence[str],
) -> Scores:
    """Every score of each example, (examples,), for the pictures of one seed as CLIP sees them."""
    words = [example.word for example in examples]
    labels = [classes.index(word) for word in words] if all(words) else None
    return per_example(
        generated=seen,
        audio=heard,
        real=None if reference is None else reference.clip,
        classes=None if labels is None else judges.clip.classes(classes),
        labels=labels,
    )


def _drawer(
    chosen: Sequence[str],
    examples: Sequence["Example"],
    folder: Path,
    pictures: str | os.PathLike | None,
    unclip: "Unclip | None",
    heard: "np.ndarray",
    **options: Any,
) -> Callable[[str, int, Callable[[str], None]], list[Any]]:
    """(system, seed) -> its pictures, in the order of the examples."""
    made: dict[bool, Drawing] = {}  # made when something is to be drawn
    told = next((each for each in ("given", "audio", "label", "text", "unclip") if each in chosen), "audio")

    def draw(system: str, seed: int, tell: Callable[[str], None]) -> list[Any]:
        if system == "random":
            shown = draw(told, seed, tell)
            return [shown[i] for i in others(len(examples), seed)]
        if system == "given":
            return [read_image(picture_of(Path(str(pictures)), example.name)) for example in examples]
        other = unclip if system == "unclip" else None
        if (kind := other is not None) not in made:
            make = Drawing if other is None else partial(other.drawing, heard=heard)
            made[kind] = make(examples, folder, on_row=tell, **options)
        return made[kind].pictures(system, seed)

    return draw


def others(count: int, seed: int) -> list[int]:
    """For each example another one, none twice (a cycle through all of them; Sattolo 1986)."""
    import random

    rng, order = random.Random(f"others/{seed}"), list(range(count))
    for i in range(count - 1, 0, -1):
        j = rng.randrange(i)
        order[i], order[j] = order[j], order[i]
    return order


def _systems(systems: Sequence[str] | None, pictures: Any, unclip: Any, embeddings: Any, name: Any) -> list[str]:
    usual = ["given", "random"] if pictures is not None else ["text", "audio", "label", "random"]
    chosen = list(systems or [*usual, *(["unclip"] if unclip is not None else [])])
    if not set(chosen) <= set(SYSTEMS):
        raise OptionError(f"Got systems={','.join(chosen)}, want some of {', '.join(SYSTEMS)}; change it.")
    if "given" in chosen and pictures is None:
        raise OptionError("Got the system given without its folder; give pictures=FOLDER, or leave it out.")
    if unclip is None and ("unclip" in chosen or embeddings is not None):
        raise OptionError("Got the system unclip or embeddings for it, but no model; give unclip=FOLDER or a hub id.")
    if name is not None and (not str(name).strip() or "|" in str(name) or printable(name) != str(name)):
        raise OptionError(f"Got unclip_name={name!r}, want a name that fits into a table; change it.")
    return [system for system in SYSTEMS if system in chosen]


def _classes(classes: Sequence[str] | None, examples: Sequence["Example"], clip: str) -> list[str]:
    used = list(dict.fromkeys(example.word for example in examples if example.word))
    if classes is None:
        return list(WORDS) if clip == "mini" and set(used) <= set(WORDS) else used
    if lacking := sorted(set(used) - set(classes)):
        raise OptionError(f"The class {lacking[0]!r} of a clip is not among classes={list(classes)[:5]}...; add it.")
    return list(classes)


def _folder(out: str | os.PathLike) -> Path:
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".trial").touch()
        (folder / ".trial").unlink()
    except OSError as error:
        raise cannot_write(folder, error) from None
    return folder
