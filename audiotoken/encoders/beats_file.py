"""The published files of BEATs -> the parameters and weights of our `BEATs`.

They hold `{"cfg": ..., "model": ...}` and, when fine-tuned, `label_dict`; nothing else handles their names and sizes.
"""

import os
import re
from typing import Any

from torch import Tensor

from audiotoken.checkpoint import read_checkpoint
from audiotoken.errors import CheckpointError

WANTED = 'a BEATs checkpoint, {"cfg": ..., "model": ...}'
WEIGHT_NAMES = (  # (pattern of the published name, ours), applied in this order
    (r"^patch_embedding\.", "patches."),
    (r"^layer_norm\.", "patch_norm."),
    (r"^post_extract_proj\.", "project."),
    (r"^predictor\.", "head."),
    (r"^encoder\.pos_conv\.0\.", "position."),
    (r"^encoder\.layer_norm\.", "norm."),
    (r"^encoder\.layers\.0\.self_attn\.relative_attention_bias\.", "distance."),
    (r"^encoder\.layers\.(\d+)\.", r"blocks.\1."),
    (r"\.self_attn\.q_proj\.", ".attention.query."),
    (r"\.self_attn\.k_proj\.", ".attention.key."),
    (r"\.self_attn\.v_proj\.", ".attention.value."),
    (r"\.self_attn\.out_proj\.", ".attention.out."),
    (r"\.self_attn\.grep_linear\.", ".attention.gate."),
    (r"\.self_attn\.grep_a$", ".attention.gate_scale"),
    (r"\.self_attn_layer_norm\.", ".attention_norm."),
    (r"\.final_layer_norm\.", ".final_norm."),
    (r"\.fc1\.", ".widen."),
    (r"\.fc2\.", ".narrow."),
)


def read_beats(file: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(constructor parameters, state dict) of our BEATs; CheckpointError for any other file."""
    content = read_checkpoint(file, WANTED)
    parts = [content.get(key) for key in ("cfg", "model")] if isinstance(content, dict) else [None]
    if not all(isinstance(part, dict) for part in parts):
        raise CheckpointError(f"Cannot load {file}: it has no `cfg` and `model`; give {WANTED}.")
    return _convert_config(content, file), _convert_weights(content["model"])


def _convert_config(content: dict[str, Any], file: str | os.PathLike) -> dict[str, Any]:
    """The published `cfg` -> our constructor's parameters; refuses variants that were never released."""
    cfg = content["cfg"]
    fixed = {"layer_norm_first": False, "deep_norm": True, "activation_fn": "gelu", "input_patch_size": 16}
    fixed |= {"relative_position_embedding": True, "gru_rel_pos": True}
    for key, value in fixed.items():
        if cfg.get(key, value) != value:
            raise CheckpointError(f"Cannot load {file}: it has {key}={cfg[key]}, BEATs as released has {value}.")
    names = {"patch_width": "embed_dim", "hidden": "encoder_embed_dim", "depth": "encoder_layers"}
    names |= {"heads": "encoder_attention_heads", "feed_forward": "encoder_ffn_embed_dim", "buckets": "num_buckets"}
    names |= {"max_distance": "max_distance", "position_kernel": "conv_pos", "position_groups": "conv_pos_groups"}
    if lacking := sorted(name for name in names.values() if not isinstance(cfg.get(name), int)):
        raise CheckpointError(f"Cannot load {file}: its `cfg` lacks {', '.join(lacking)}; give {WANTED}.")
    classes = (cfg.get("predictor_class") or 0) if cfg.get("finetuned_model") else 0
    return {ours: cfg[theirs] for ours, theirs in names.items()} | {
        "patch_bias": bool(cfg.get("conv_bias", False)),
        "classes": classes,
        "labels": _read_labels(content.get("label_dict") or {}, classes, file),
    }


def _read_labels(names: dict[Any, str], classes: int, file: str | os.PathLike) -> tuple[str, ...]:
    """`{index: name}` -> the names in the order of the class head; empty when the file has none."""
    if names and {int(index) for index in names if str(index).isdecimal()} != set(range(classes)):
        raise CheckpointError(f"Cannot load {file}: its `label_dict` does not name {classes} classes; give {WANTED}.")
    return tuple(str(names[index]) for index in sorted(names, key=int))


def _convert_weights(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published names -> ours; the weight-normalised convolution is multiplied out, the shared bias kept once."""
    weights = {}
    for name, value in published.items():
        for pattern, ours in WEIGHT_NAMES:
            name = re.sub(pattern, ours, name)
        if not re.search(r"^blocks\.\d+\.self_attn\.relative_attention_bias\.", name):
            weights[name] = value
    if {"position.weight_g", "position.weight_v"} <= weights.keys():
        scale, direction = weights.pop("position.weight_g"), weights.pop("position.weight_v")
        weights["position.weight"] = scale * direction / direction.norm(dim=(0, 1), keepdim=True)
    return weights
