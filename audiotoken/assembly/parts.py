"""The embedder, from the forms it is published or trained in."""

import os
from pathlib import Path
from typing import Any

from audiotoken.checkpoint import load_weights, read_checkpoint
from audiotoken.embedder import AudioEmbedder
from audiotoken.errors import CheckpointError
from audiotoken.loading import read_part

EMBEDDER = "a published AudioToken embedder file, a folder that save_pretrained wrote, or a run of `audiotoken train`"
CONFIG = "config.json"
SUBFOLDERS = ("", "embedder", "audio_embedder")  # of an embedder alone, in a training run, in a model


def load_embedder(where: str | os.PathLike) -> "AudioEmbedder":
    """Load an embedder in one of the forms of `EMBEDDER`; raises CheckpointError for others."""
    path = Path(os.path.expanduser(where))
    if path.is_dir():
        home = next((path / name for name in SUBFOLDERS if (path / name / CONFIG).is_file()), None)
        if home is None:
            raise CheckpointError(f"Cannot load {path}: it holds no embedder; pass {EMBEDDER}.")
        try:
            return AudioEmbedder.from_pretrained(home).eval()
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = str(error).strip().split("\n")[0].rstrip(".")
            raise CheckpointError(f"Cannot load {home}: {reason}; pass {EMBEDDER}.") from error
    content = read_checkpoint(path, EMBEDDER)
    if isinstance(content, dict) and isinstance(content.get("embedder"), dict):
        return _load_run_checkpoint(content, path)
    return AudioEmbedder.from_checkpoint(path)


def has_embedder(model: str | os.PathLike) -> bool:
    """Whether `model` is a folder whose index names an embedder of ours."""
    return (read_part(model, "audio_embedder") or ("",))[0] == AudioEmbedder.__module__


def find_lora(embedder: str | os.PathLike) -> Path | None:
    """The folder of LoRA layers that a training run wrote beside its embedder, if any."""
    folder = Path(os.path.expanduser(embedder))
    return next((each / "lora" for each in (folder, folder.parent) if _is_run(each) and (each / "lora").is_dir()), None)


def _is_run(folder: Path) -> bool:
    return (folder / "embedder" / CONFIG).is_file() and (folder / "settings.json").is_file()


def _load_run_checkpoint(content: dict[str, Any], file: Path) -> "AudioEmbedder":
    """Load the checkpoint.pt of an unfinished training run: its averaged weights (EMA) if it has them."""
    weights = content["embedder"]
    if content.get("lora"):
        raise CheckpointError(
            f"Cannot load {file}: it was trained with LoRA layers; pass the run's folder when it is finished."
        )
    if not {"hidden.weight", "output.weight", "pool.query.weight"} <= weights.keys():
        raise CheckpointError(
            f"Cannot load {file}: it does not describe its pooling; pass the run's folder when it is finished."
        )
    (outputs, inputs), width = weights["output.weight"].shape, len(weights["pool.query.weight"])
    embedder = AudioEmbedder(inputs, width, tokens_per_clip=outputs // width)
    load_weights(embedder, weights, file, EMBEDDER)
    means = (content.get("ema") or {}).get("shadow_params")
    for weight, mean in zip(embedder.parameters(), means or (), strict=False):
        weight.data.copy_(mean)
    return embedder.eval()
