"""The published files of CED -> the parameters and weights of our `CED`.

A hub repository or folder holds config.json and model.safetensors. Their names and sizes are those of the published
code (jimbozhang/hf_transformers_custom_model_ced, read, not copied); nothing else handles them.
"""

import os
import re
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from audiotoken.encoders.hub import make_load_error, resolve_source
from audiotoken.errors import CheckpointError
from audiotoken.json_file import read_json

WANTED = 'a CED as published, such as "mispeech/ced-mini" or a folder with its config.json and model.safetensors'
CONFIG, WEIGHTS = "config.json", "model.safetensors"
SIZES = {  # name in config.json -> width, heads; the names alone fix them
    "ced-tiny": (192, 3),
    "ced-mini": (256, 4),
    "ced-small": (384, 6),
    "ced-base": (768, 12),
}
FIXED = {"pooling": "mean", "patch_size": 16, "patch_stride": 16, "n_mels": 64, "hop_size": 160, "n_fft": 512}
FIXED |= {"win_size": 512, "f_min": 0, "f_max": 8000, "center": True, "qkv_bias": True}
WEIGHT_NAMES = (  # (pattern of the published name, ours), applied in this order
    (r"^encoder\.", ""),
    (r"^init_bn\.", "mel_norm."),
    (r"^patch_embed\.proj\.", "patches."),
    (r"^time_pos_embed$", "time_position"),
    (r"^freq_pos_embed$", "band_position"),
    (r"^outputlayer\.", "head."),
    (r"^(blocks\.\d+)\.norm1\.", r"\1.attention_norm."),
    (r"^(blocks\.\d+)\.attn\.qkv\.", r"\1.query_key_value."),
    (r"^(blocks\.\d+)\.attn\.proj\.", r"\1.out."),
    (r"^(blocks\.\d+)\.norm2\.", r"\1.norm."),
    (r"^(blocks\.\d+)\.mlp\.fc1\.", r"\1.widen."),
    (r"^(blocks\.\d+)\.mlp\.fc2\.", r"\1.narrow."),
)


def read_ced(model: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(constructor parameters, state dict) of our CED; CheckpointError for anything else, and without the hub."""
    source = resolve_source(model, WANTED)
    try:
        config = read_json(_find_file(source, CONFIG))
        weights = load_file(_find_file(source, WEIGHTS))
    except (OSError, ValueError, SafetensorError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise make_load_error(model, error, WANTED) from None
    return _convert_config(config, model), {_rename(name): value for name, value in weights.items()}


def _find_file(source: str, name: str) -> Path:
    folder = Path(source)
    return folder / name if folder.is_dir() else Path(hf_hub_download(source, name))


def _convert_config(config: Any, model: str | os.PathLike) -> dict[str, Any]:
    """The published config.json -> our constructor's parameters; refuses variants that were never released."""
    if not isinstance(config, dict) or config.get("model_type") != "ced":
        raise CheckpointError(f"Cannot load {model}: its config.json is not of a CED; give {WANTED}.")
    for key, value in FIXED.items():
        if config.get(key, value) not in (value, None):
            raise CheckpointError(f"Cannot load {model}: it has {key}={config[key]}, CED as released has {value}.")
    hidden, heads = SIZES.get(config.get("name", ""), (config.get("embed_dim", 768), config.get("num_heads", 12)))
    names = {int(index): str(name) for index, name in (config.get("id2label") or {}).items()}
    classes = config.get("outputdim", 527)
    spoken = [names[i] for i in range(classes)] if set(names) == set(range(classes)) else []
    return {
        "hidden": hidden,
        "depth": config.get("depth", 12),
        "heads": heads,
        "feed_forward": round(hidden * config.get("mlp_ratio", 4.0)),
        "longest": config.get("target_length", 1012),
        "classes": classes,
        "labels": () if all(re.fullmatch(r"LABEL_\d+", name) for name in spoken) else tuple(spoken),
    }


def _rename(name: str) -> str:
    for pattern, ours in WEIGHT_NAMES:
        name = re.sub(pattern, ours, name)
    return name
