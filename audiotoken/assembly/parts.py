"""The audio parts, from the forms they are published in: `beats:FILE`, `ast:ID`, `clap:ID`, `mini`; embedder files."""

import json
import os
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from audiotoken.checkpoint import load_weights, read_checkpoint
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders.ast import AST
from audiotoken.encoders.beats import BEATs
from audiotoken.encoders.clap import CLAP
from audiotoken.encoders.mini import MiniEncoder
from audiotoken.errors import CheckpointError, OptionError
from audiotoken.loading import OWN_ENCODERS

ENCODERS = "beats:FILE, ast:ID, clap:ID or mini"
EMBEDDER = "a published AudioToken embedder file, a folder that save_pretrained wrote, or a run of `audiotoken train`"
WEIGHTS = "config.json"
PLACES = ("", "embedder", "audio_embedder")  # of the embedder in a folder: itself, of a training run, of a model


def load_encoder(spec: str, layers: Sequence[int] | None = None, labels: str | os.PathLike | None = None) -> Any:
    """An `AudioEncoder`: `spec` is one of `ENCODERS`, `layers` (of BEATs, AST) are what its features are.

    `labels` is a file with a name on each line: what CLAP tells apart, or the classes of a BEATs whose file has no
    names. CheckpointError or OptionError, one sentence each.
    """
    kind, _, where = spec.partition(":")
    if kind not in ("beats", "ast", "clap", "mini") or bool(where) == (kind == "mini"):
        raise OptionError(f"Got encoder={spec}, want {ENCODERS}; change it.")
    if layers is not None and kind not in ("beats", "ast"):
        raise OptionError(f"Got layers={','.join(map(str, layers))}, but {kind} has no layers to choose; leave it out.")
    if labels is not None and kind not in ("beats", "clap"):
        raise OptionError(f"Got labels={labels}, but {kind} has names of its own; leave it out.")
    names = None if labels is None else read_names(labels)
    chosen = {} if layers is None else {"layers": tuple(layers)}
    try:
        if kind == "beats":
            return _beats(where, names, chosen)
        if kind == "ast":
            return AST.from_pretrained(where, **chosen)
        if kind == "clap":
            return CLAP.from_pretrained(where, names=names)
        return MiniEncoder.from_pretrained(str(files("audiotoken.mini")), subfolder="audio_encoder")
    except CheckpointError:
        raise
    except ValueError as error:  # such as a layer that it does not have
        raise OptionError(str(error)) from None


def own_encoder(base: str, layers: Any = None, labels: Any = None) -> Any:
    """The ears of a model that hears already, a folder."""
    index = Path(base) / "model_index.json"
    named = json.loads(index.read_text(encoding="utf-8")).get("audio_encoder") if index.is_file() else None
    library, name = named or ("", "")
    if library not in OWN_ENCODERS:
        raise OptionError(f"There is no audio encoder in {base}; give --encoder, one of {ENCODERS}.")
    if layers is not None or labels is not None:
        raise OptionError(f"The audio encoder of {base} has its layers and labels; leave them out, or give --encoder.")
    try:
        return getattr(import_module(library), name).from_pretrained(str(Path(base) / "audio_encoder"))
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise CheckpointError(f"Cannot load the audio encoder of {base}: {reason}; give --encoder.") from error


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


def read_names(file: str | os.PathLike) -> tuple[str, ...]:
    """The lines of a text file, empty ones left out."""
    try:
        names = tuple(line.strip() for line in Path(file).read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"Cannot read {file}: {error}; give a text file with a name on each line.") from None
    if not names:
        raise OptionError(f"Cannot use {file}: it is empty; give a text file with a name on each line.")
    return names


def _is_run(folder: Path) -> bool:
    return (folder / "embedder" / WEIGHTS).is_file() and (folder / "settings.json").is_file()


def _beats(file: str, names: tuple[str, ...] | None, chosen: dict[str, Any]) -> Any:
    beats = BEATs.from_checkpoint(file, **chosen)
    if names is not None:
        if len(names) != beats.config["classes"]:
            raise OptionError(f"Got {len(names)} labels, but {file} has {beats.config['classes']} classes; name each.")
        beats.register_to_config(labels=names)
    return beats


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
