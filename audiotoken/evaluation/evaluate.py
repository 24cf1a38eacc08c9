"""Compare systems that draw the same clips: AIS, IIS, AIC and FID with confidence intervals.

    python -m experiments.evaluate n=32 out=runs/evaluated                 # synthesised clips, the mini models
    python -m experiments.evaluate clips=ESC10_FOLDER folds=[4] n=40 seeds=[0,1]
    python -m experiments.evaluate clips=clips pictures=pictures real=real clip=openai/clip-vit-base-patch32 \
        wav2clip=Wav2CLIP.pt features=facebook/dinov2-small
    python -m experiments.evaluate clips=clips unclip=stabilityai/stable-diffusion-2-1-unclip \
        embeddings=imagebind.safetensors

Systems: `text` prompts with the true label (upper bound), `audio` is AudioToken (mono, the learned token), `label`
prompts with the predicted label, `unclip` is Stable unCLIP conditioned on an embedding of the sound (see
`evaluation.unclip`), `given` judges the `pictures` of a folder, `random` gives each clip the picture of another one
(lower bound), from the first system of given, audio, label, text and unclip that is evaluated. The folder `out`
receives metrics.json, table.md, table.csv, and examples.csv with the scores of every picture.
"""

import os
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotoken.data.image_file import read_image
from audiotoken.errors import OptionError, printable
from audiotoken.evaluation.clips import Example, collect_examples, find_picture
from audiotoken.evaluation.judges import Judges
from audiotoken.evaluation.pictures import PictureCache
from audiotoken.evaluation.seeing import load_see
from audiotoken.evaluation.stereo_examples import hear_example, score_places
from audiotoken.evaluation.table import EvaluationReport
from audiotoken.evaluation.unclip import Unclip, prepare_unclip
from audiotoken.evaluation.unpacked import format_channels, open_source, unpack
from audiotoken.metrics import score_examples
from audiotoken.mini.things import SYNTHETIC_NAMES, WORDS
from audiotoken.options import check_options
from audiotoken.report.html import check_report
from audiotoken.writing import cannot_write, check_inputs_kept, check_output_folder
from spatial.camera import Camera

if TYPE_CHECKING:
    import numpy as np


UNPACKED = "unpacked"  # folder of clips that were in shards
SYSTEMS = ("text", "audio", "label", "unclip", "given", "random")
Scores = dict[str, "np.ndarray"]  # by name, (seeds, examples)


def evaluate(
    clips: str | os.PathLike = "synthetic",
    *,
    table: str | os.PathLike | None = None,
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
    detector: str = "mini",
    steps: int | None = None,
    guidance_scale: float | None = None,
    batch: int = 8,
    device: str | None = None,
    resamples: int = 1000,
    out: str | os.PathLike = "runs/evaluated",
    report: str | os.PathLike | None = None,
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Evaluate the systems, write the results, and return the Markdown table.

    clips, n, folds, words: see `evaluation.clips.collect_examples`. Shards, or videos of VGGSound with its `table` of
        ID, start, label and split, are unpacked into `out`, and their pictures are the real ones: see
        `evaluation.unpacked`.
    real: a folder of real pictures, named like the clips. Without it the mini judges compare with painted scenes.
    pictures: a folder of pictures to judge, named like the clips: the system `given`.
    classes: the words that AIC chooses among; by default those of the clips, for the mini CLIP all 24.
    systems: by default text, audio, label and random; with `pictures` given and random; and unclip if it is passed.
    unclip, embeddings: a Stable unCLIP and the vectors it is conditioned on, by default those of Wav2CLIP; its row is
        called `unclip_name`, by default after both.
    clip, wav2clip, features: the judges: "mini", folders or hub ids; Wav2CLIP also as the published file.
    detector: looks where things are, for clips that are stereo files: "mini", or a folder or hub id of OWLv2 or
        Grounding DINO. The score `placed` is that of `evaluation.consistency`: 1 where it is heard, 0.5 by chance.
    report: also a page.html with the table and what each system drew with the first of the seeds, to share.

    Raises OptionError, CheckpointError, DataError or AudioError.
    """
    chosen = _choose_systems(systems, pictures, unclip, embeddings, unclip_name)
    check_options(dtype="float32", steps=steps, guidance_scale=guidance_scale, batch=batch)
    if not seeds or resamples < 1:
        raise OptionError(
            f"Got seeds={list(seeds)}, resamples={resamples}, expected at least one of each; change them."
        )
    _check_paths(out, report, [clips, pictures, real, embeddings, table])
    check_output_folder(out)  # made when there is something to write
    report_progress = on_row or (lambda text: None)
    clips, channels = _unpack_clips(clips, table, n, Path(out), report_progress)
    real = clips if channels and real is None else real
    examples = collect_examples(clips, n, folds=folds, real=real, words=words)
    if not all(each.label for each in examples) and "text" in chosen:
        raise OptionError(
            f"The clips in {clips} have no labels; use a sub-folder for each label, or leave out the system text."
        )
    judges = Judges(clip, wav2clip, features, device)
    names = _choose_classes(classes, examples, clip)
    conditioned = (
        prepare_unclip(unclip, embeddings, examples, judges) if unclip is not None and "unclip" in chosen else None
    )
    facts: dict[str, Any] = {"model": model, **judges.names, "detector": detector, "rate": judges.wav2clip.rate}
    facts |= {"channels": channels} if channels else {}
    facts |= {} if conditioned is None else {"unclip": unclip, "condition": conditioned.source}
    titles = {} if conditioned is None else {"unclip": unclip_name or conditioned.name}
    results = EvaluationReport(examples, seeds, names, facts, resamples, titles)
    scorer = _Scorer(judges, examples, names, detector)
    options: dict[str, Any] = {"model": model, "device": device, "steps": steps, "batch": batch}
    options |= {"guidance_scale": guidance_scale}
    folder = _prepare_folder(out)
    load_pictures = _make_picture_loader(chosen, examples, folder, pictures, conditioned, scorer.audio, **options)
    drawn: dict[str, list[Any]] = {}
    for system in chosen:
        sets = [load_pictures(system, seed, report_progress) for seed in seeds]
        scores, embedded = zip(*map(scorer.score, sets), strict=True)
        results.add(system, scores, None if system == "random" else embedded, scorer.reference)
        report_progress("  ".join(results.format_row(system)))
        drawn[system] = sets[0] if report is not None and system != "random" else []
    results.write(folder)
    if report is not None:
        results.write_page(Path(report), drawn)
    return results.to_markdown()


def _check_paths(
    out: str | os.PathLike, report: str | os.PathLike | None, inputs: Sequence[str | os.PathLike | None]
) -> None:
    """OptionError if what is written would replace an input."""
    if report is not None:
        check_report(report)
    check_inputs_kept([out, report], inputs)
    for own in ("pictures", UNPACKED):
        check_inputs_kept([], inputs, replaced=Path(out) / own)


def _unpack_clips(
    clips: str | os.PathLike,
    table: str | os.PathLike | None,
    n: int | None,
    folder: Path,
    report_progress: Callable[[str], None],
) -> tuple[str | os.PathLike, dict[str, int]]:
    """(the folder of the clips, how many of those that were in shards or videos are stereo, mono, ...)."""
    source = None if str(clips) in SYNTHETIC_NAMES else open_source(clips, table)
    if source is None:
        return clips, {}
    channels = unpack(*source, folder / UNPACKED, n, report_progress)
    report_progress(format_channels(channels))
    return folder / UNPACKED, channels


class _Scorer:
    """Every score of the pictures that one system drew of the examples with one seed."""

    def __init__(self, judges: Judges, examples: Sequence[Example], classes: Sequence[str], detector: str) -> None:
        self.judges, self.examples, self.classes, self.camera = judges, examples, classes, Camera()
        self.audio, self.reference = judges.embed_sounds(examples), judges.load_reference(examples)
        self.heard = [hear_example(example, self.camera) for example in examples]
        self.see = load_see(detector, judges.device) if any(self.heard) else None

    def score(self, images: Sequence[Any]) -> "tuple[Scores, tuple[np.ndarray, np.ndarray]]":
        """(the scores of each example, (examples,), by name; the CLIP embeddings and the features of the pictures)."""
        words = [example.word for example in self.examples]
        embedded = self.judges.clip.embed_images(images), self.judges.extract_features(images)
        scores = self._compare(embedded[0], words) | self.judges.score_names(images, words)
        if self.see:
            scores |= score_places(images, self.heard, self.see, self.camera)
        return scores, embedded

    def _compare(self, generated: "np.ndarray", words: Sequence[str]) -> Scores:
        labels = [self.classes.index(word) for word in words] if all(words) else None
        return score_examples(
            generated=generated,
            audio=self.audio,
            real=None if self.reference is None else self.reference.clip,
            classes=None if labels is None else self.judges.clip.embed_classes(self.classes),
            labels=labels,
        )


def _make_picture_loader(
    chosen: Sequence[str],
    examples: Sequence["Example"],
    folder: Path,
    pictures: str | os.PathLike | None,
    unclip: "Unclip | None",
    audio: "np.ndarray",
    **options: Any,
) -> Callable[[str, int, Callable[[str], None]], list[Any]]:
    """A function of (system, seed) that returns the pictures in the order of the examples."""
    caches: dict[bool, PictureCache] = {}  # created when first needed
    shuffled = next((each for each in ("given", "audio", "label", "text", "unclip") if each in chosen), "audio")

    def load_pictures(system: str, seed: int, report_progress: Callable[[str], None]) -> list[Any]:
        if system == "random":
            images = load_pictures(shuffled, seed, report_progress)
            return [images[i] for i in draw_derangement(len(examples), seed)]
        if system == "given":
            return [read_image(find_picture(Path(str(pictures)), example.name)) for example in examples]
        is_unclip = unclip is not None and system == "unclip"
        if is_unclip not in caches:
            make = partial(unclip.make_cache, audio=audio) if unclip is not None and is_unclip else PictureCache
            caches[is_unclip] = make(examples, folder, on_row=report_progress, **options)
        return caches[is_unclip].load_or_draw(system, seed)

    return load_pictures


def draw_derangement(count: int, seed: int) -> list[int]:
    """A random cyclic permutation, so that every example is assigned another one (Sattolo 1986)."""
    rng, order = random.Random(f"others/{seed}"), list(range(count))
    for i in range(count - 1, 0, -1):
        j = rng.randrange(i)
        order[i], order[j] = order[j], order[i]
    return order


def _choose_systems(systems: Sequence[str] | None, pictures: Any, unclip: Any, embeddings: Any, name: Any) -> list[str]:
    default = ["given", "random"] if pictures is not None else ["text", "audio", "label", "random"]
    chosen = list(systems or [*default, *(["unclip"] if unclip is not None else [])])
    if not set(chosen) <= set(SYSTEMS):
        raise OptionError(f"Got systems={','.join(chosen)}, expected some of {', '.join(SYSTEMS)}; change them.")
    if "given" in chosen and pictures is None:
        raise OptionError("Got the system given without its folder; pass pictures=FOLDER, or leave it out.")
    if unclip is None and ("unclip" in chosen or embeddings is not None):
        raise OptionError("Got the system unclip or embeddings for it, but no model; pass unclip=FOLDER or a hub id.")
    if name is not None and (not str(name).strip() or "|" in str(name) or printable(name) != str(name)):
        raise OptionError(f"Got unclip_name={name!r}, expected a name that fits in one line of a table; change it.")
    return [system for system in SYSTEMS if system in chosen]


def _choose_classes(classes: Sequence[str] | None, examples: Sequence["Example"], clip: str) -> list[str]:
    used = list(dict.fromkeys(example.word for example in examples if example.word))
    if classes is None:
        return list(WORDS) if clip == "mini" and set(used) <= set(WORDS) else used
    if missing := sorted(set(used) - set(classes)):
        raise OptionError(f"The class {missing[0]!r} of a clip is not among classes={list(classes)[:5]}...; add it.")
    return list(classes)


def _prepare_folder(out: str | os.PathLike) -> Path:
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".trial").touch()
        (folder / ".trial").unlink()
    except OSError as error:
        raise cannot_write(folder, error) from None
    return folder
