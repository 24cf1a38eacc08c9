"""The embedder, from the forms it is published or trained in."""

import os
from pathlib import Path
from typing import Any

from audiotoken.checkpoint import load_weights, read_checkpoint
from audiotoken.embedder import AudioEmbedder
from audiotoken.errors import CheckpointError

EMBEDDER = "a published AudioToken embedder file, a folder that save_pretrained wrote, or a run of `audiotoken train`"
WEIGHTS = "config.json"
PLACES = ("", "embedder", "audio_embedder")  # of the embedder in a folder: itself, of a training run, of a model


def load_embedder(where: str | os.PathLike) -> "AudioEmbedder":
    """The embedder in one of the forms of `EMBEDDER`; CheckpointError, one sentence, otherwise."""
    path = Path(where).expanduser()
    if path.is_dir():
        home = next((path / place for place in PLACES if (path / place / WEIGHTS).is_file()), None)
        if home is None:
            raise CheckpointError(f"Cannot load {path}: it holds no embedder; give {EMBEDDER}.")
        try:
            return AudioEmbedder.from_pretrained(home).eval()
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = str(error).strip().split("\n")[0].rstrip(".")
            raise CheckpointError(f"Cannot load {home}: {reason}; give {EMBEDDER}.") from error
    content = read_checkpoint(path, EMBEDDER)
    if isinstance(content, dict) and isinstance(content.get("embedder"), dict):
        return _of_a_run(content, path)
    return AudioEmbedder.from_checkpoint(path)


def lora_beside(embedder: str | os.PathLike) -> Path | None:
    """The LoRA layers that a training run wrote beside its embedder."""
    folder = Path(embedder).expanduser()
    return next((each / "lora" for each in (folder, folder.parent) if _is_run(each) and (each / "lora").is_dir()), None)


def _is_run(folder: Path) -> bool:
    return (folder / "embedder" / WEIGHTS).is_file() and (folder / "settings.json").is_file()


def _of_a_run(content: dict[str, Any], file: Path) -> "AudioEmbedder":
    """checkpoint.pt of a training run that goes on still: the weights of its last save, their running means if kept."""
    weights = content["embedder"]
    if content.get("lora"):
        raise CheckpointError(
            f"Cannot load {file}: it was trained with LoRA layers; give the run's folder when it is done."
        )
    if not {"hidden.weight", "output.weight", "pool.query.weight"} <= weights.keys():
        raise CheckpointError(
            f"Cannot load {file}: it does not say how it pools; give the run's folder when it is done."
        )
    (outputs, inputs), width = weights["output.weight"].shape, len(weights["pool.query.weight"])
    embedder = AudioEmbedder(inputs, width, tokens_per_clip=outputs // width)
    load_weights(embedder, weights, file, EMBEDDER)
    means = (content.get("ema") or {}).get("shadow_params")
    for weight, mean in zip(embedder.parameters(), means or (), strict=False):
        weight.data.copy_(mean)
    return embedder.eval()
