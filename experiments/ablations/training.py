"""Training tasks: train a small embedder, then test it on clips that it never heard.

With `data=null` it learns from synthesised sounds and what the mini checkpoint draws of their names, made once for its
weights and kept in `cache`; otherwise from folders of `experiments.prepare`, of VGGSound for example. Figures, all of
unheard clips: `retrieval` and `meaning`, shares of clips whose token is nearest to its own label among all labels, as
it goes into the text encoder and as it comes out; `loss` of diffusion, at the same noise in every run; `recognised`,
share of pictures in which the detector sees the thing first. `train_loss` is of diffusion, the mean of the last tenth
of steps.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from audiotoken.data import PairFolder
from audiotoken.data.batches import Batches
from audiotoken.data.prepared import Prepared, prepare
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders.mini import MiniEncoder
from audiotoken.errors import OptionError
from audiotoken.manifest import fingerprint
from audiotoken.model import load_pipeline
from audiotoken.objective import LossWeights, Objective
from audiotoken.report.spread import spread_evenly
from audiotoken.tasks.flow import find_denoising, own_size
from audiotoken.training import Batch, Progress, Settings, draw_noise, train_embedder
from experiments.ablations.layers import LayeredEncoder
from experiments.world.measure import recognise_things as seen_in
from experiments.world.measure import write_sheet
from experiments.world.pairs import SECONDS, write_pairs
from guidance.sampling import sample

LEVELS = 1  # noise levels for each unheard picture
UNHEARD = 5000  # first seed of the clips that are kept for the test


def train_small(
    *,
    model: str = "mini",
    data: str | None = None,
    unheard: str | None = None,
    layers: list[int] | None = None,
    pooling: str = "attentive",
    tokens_per_clip: int = 1,
    dropout: float = 0.5,
    diffusion: float = 1.0,
    classification: float = 0.01,
    token_l1: float = 0.01,
    lora: int = 0,
    steps: int = 50,
    batch: int = 4,
    learning_rate: float = 1e-3,
    ema: float | None = 0.9,
    each: int = 6,
    each_unheard: int = 3,
    pictures: int = 0,
    sampling_steps: int = 10,
    cache: str = "runs/ablate/data",
    seed: int,
    out: str | os.PathLike,
) -> dict[str, float]:
    """Train with `seed` for the order, the noise and the first weights -> the figures above.

    data, unheard: folders of `experiments.prepare`; or null: `each` synthesised clips of each of 16 words are learnt,
    `each_unheard` tested. layers: of the audio encoder, from 1, joined; null: its own. pictures: of unheard clips,
    where a detector knows the words. The rest as in `audiotoken.training.Settings` and `AudioEmbedder`.
    """
    import torch
    from accelerate import Accelerator

    _check_data(data, unheard)
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    pipe = load_pipeline(model, str(accelerator.device))
    if layers is not None:
        pipe.register_modules(audio_encoder=choose_layers(pipe.audio_encoder, layers))
    kept = Path(cache) / hashlib.sha256(fingerprint(model).encode()).hexdigest()[:8]
    learnt, asked = _load_examples(pipe, data, unheard, layers, each, each_unheard, kept)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        width = learnt.load([0]).features.shape[-1]
        embedder = AudioEmbedder(width, pipe.token_width, dropout, pooling, tokens_per_clip)
    pipe.register_modules(audio_embedder=embedder.to(pipe.unet.device))
    weights = LossWeights(diffusion, classification, token_l1)
    settings = Settings(
        steps, learning_rate, ema=ema, lora=lora, seed=seed, save_every=max(50, steps // 20), weights=weights
    )
    losses = _train(pipe, learnt, batch, settings, accelerator, Path(out) / "checkpoint.pt")
    last = losses[-max(1, steps // 10) :]
    figures = measure_unheard(pipe, asked, learnt.names) | {"train_loss": sum(last) / max(len(last), 1)}
    if pictures and data is None:
        figures["recognised"] = measure_recognised(pipe, asked, pictures, sampling_steps, Path(out))
    (Path(out) / "checkpoint.pt").unlink(missing_ok=True)
    return figures


def _train(
    pipe: Any, learnt: "Prepared", batch: int, settings: Settings, accelerator: Any, checkpoint: Path
) -> list[float]:
    """Train the embedder of the pipeline -> the diffusion loss of each step."""
    losses: list[float] = []

    def note(progress: Progress) -> None:
        losses.append(progress.losses["diffusion"])

    rank, processes = accelerator.process_index, accelerator.num_processes
    batches = Batches(learnt, batch, seed=settings.seed, rank=rank, processes=processes)
    more: dict[str, Any] = {"checkpoint": checkpoint, "about": {"seed": settings.seed}}
    train_embedder(pipe, batches, learnt.names, settings, on_progress=note, accelerator=accelerator, **more)
    return losses


def choose_layers(encoder: Any, layers: list[int]) -> Any:
    """The encoder with the features of these layers, joined: an option of BEATs and AST, `LayeredEncoder` for mini."""
    if isinstance(encoder, MiniEncoder):
        return LayeredEncoder.from_encoder(encoder, layers)
    if hasattr(encoder, "register_to_config"):
        encoder.register_to_config(layers=tuple(layers))
    elif hasattr(encoder.config, "layers"):
        encoder.config.layers = tuple(layers)
    else:
        raise OptionError(
            f"Got layers={layers}, but a {type(encoder).__name__} has none to choose from; leave layers out."
        )
    return encoder


def measure_unheard(pipe: Any, asked: "Prepared", names: tuple[str, ...]) -> dict[str, float]:
    """retrieval, meaning and loss of unheard examples."""
    import torch

    encoded = asked.load(range(len(asked)))
    labels = torch.tensor([names.index(asked.names[label]) for label in encoded.labels.tolist()])
    with torch.no_grad():
        tokens = pipe.audio_embedder(encoded.features.float().to(pipe.unet.device)).float()
        near = _find_nearest(tokens.mean(1), pipe.label_embeddings(names).to(tokens))
        texts = [f"a photo of a {name}" for name in names]
        meant = _find_nearest(
            pipe.encode_text_ends(["a photo of a <audio>"] * len(tokens), [[each] for each in tokens]),
            pipe.encode_text_ends(texts, [[]] * len(texts)),
        )
        loss = _measure_loss(Objective(pipe, names, find_denoising(pipe)), encoded, labels, asked.scaling_factor)
    return {
        "retrieval": (near.cpu() == labels).float().mean().item(),
        "meaning": (meant.cpu() == labels).float().mean().item(),
        "loss": loss,
    }


def measure_recognised(pipe: Any, asked: "Prepared", count: int, steps: int, out: Path) -> float:
    """Draw unheard clips of as many labels as there are -> the share that the detector calls by their label."""
    import torch

    some = spread_evenly(range(len(asked)), count)
    encoded, images = asked.load(some), []
    with torch.no_grad():
        prompts = pipe.encode_prompts(
            "a photo of <audio>", pipe.audio_embedder(encoded.features.float().to(pipe.unet.device))
        )
    for start in range(0, len(some), 8):
        part = prompts[start : start + 8]
        images += sample(
            pipe, part, energy="none", seed=[start + i for i in range(len(part))], num_inference_steps=steps
        ).images
    write_sheet(images, out / "pictures" / "unheard.png", columns=8)
    words = [asked.names[label] for label in encoded.labels.tolist()]
    return sum(a == b for a, b in zip(seen_in(images), words, strict=True)) / len(words)


def _check_data(data: str | None, unheard: str | None) -> None:
    if (data is None) != (unheard is None):
        raise OptionError(
            "Got one of data and unheard, expected both or neither; pass a folder to learn from and one to test on."
        )


def _load_examples(
    pipe: Any,
    data: str | None,
    unheard: str | None,
    layers: list[int] | None,
    each: int,
    each_unheard: int,
    cache: Path,
) -> "tuple[Prepared, Prepared]":
    """The examples to learn from and the unheard ones."""
    if data is None or unheard is None:
        return _prepare_pairs(pipe, layers, each, 0, cache), _prepare_pairs(pipe, layers, each_unheard, UNHEARD, cache)
    folders = Prepared(data), Prepared(unheard)
    for folder in folders:
        folder.check_fits(pipe)
    if strange := set(folders[1].names) - set(folders[0].names):
        raise OptionError(
            f"Got the label {min(strange)} in {unheard}, expected only those of {data}; leave the others out."
        )
    return folders


def _prepare_pairs(pipe: Any, layers: list[int] | None, each: int, first: int, cache: Path) -> "Prepared":
    """Synthesise pairs and encode them with the frozen parts; one process works, the others wait."""
    from filelock import FileLock

    pairs = cache / f"pairs-{each}-{first}"
    folder = cache / f"{pairs.name}-layers-{'-'.join(map(str, layers)) if layers else 'own'}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{pairs.name}.lock"):
        write_pairs(pipe, pairs, each=each, steps=10, seed=first)
        size = own_size(pipe)
        prepare(PairFolder(pairs), pipe, folder, size=size, seconds=SECONDS, workers=1)
    return Prepared(folder)


def _measure_loss(objective: Any, encoded: Any, labels: Any, scale: float) -> float:
    """The diffusion loss, at noise that depends on the index only."""
    import torch

    latents, total = encoded.moments.float().chunk(2, dim=1)[0] * scale, 0.0
    for level in range(LEVELS):
        draw = objective.denoising.draw_level
        drawn = [draw_noise(0, level, i, latents.shape[1:], draw) for i in range(len(latents))]
        noise, at = (torch.stack(each) for each in zip(*drawn, strict=True))
        for start in range(0, len(latents), 16):
            rows = slice(start, start + 16)
            batch = Batch(latents[rows], encoded.features[rows].float(), labels[rows])
            total += objective(batch, noise[rows], at[rows])["diffusion"].item() * len(batch)
    return total / (LEVELS * len(latents))


def _find_nearest(of: Any, among: Any) -> Any:
    """(rows,): the index of the row of `among` with the largest cosine."""
    from torch.nn.functional import normalize

    return (normalize(of, dim=-1) @ normalize(among, dim=-1).T).argmax(1)
