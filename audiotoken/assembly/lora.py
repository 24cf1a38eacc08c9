"""LoRA layers (Hu et al. 2021, arXiv 2106.09685) of others, fused into a model: all of a file, or a sentence.

diffusers applies the layers whose names it finds and logs the rest, and loses those of Kohya's names for the attention
of text encoders with transformers 5.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from audiotoken.checkpoint import read_checkpoint
from audiotoken.errors import CheckpointError, OptionError, first_sentence

WANTED = "a file of LoRA layers for this base, or the folder of a training run"
DOWN = re.compile(r"(.+?)[._]?(?:lora_down|lora_A|lora\.down|lora_linear_layer\.down)(?:\.default)?\.weight")
UP = re.compile(r"(.+?)[._]?(?:lora_up|lora_B|lora\.up|lora_linear_layer\.up)(?:\.default)?\.weight")
BESIDE = re.compile(r".+(?:alpha|lora_magnitude_vector(?:\.weight)?)")  # what may stand beside the two
ATTENTION = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}  # of text encoders


def fuse_lora(pipe: Any, lora: str | os.PathLike) -> None:
    """Add the layers of a file or folder to the weights of the pipeline; OptionError unless each fits one of them."""
    weights = _read(Path(os.path.expanduser(lora)))
    layers = _find_layers(weights, lora)
    parts = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    try:
        prepared = _prepare(pipe, weights)
        _check_weights(parts, prepared, lora)
        pipe.load_lora_weights(prepared)
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError, TypeError) as error:
        pipe.unload_lora_weights()
        if isinstance(error, OptionError):
            raise
        raise _refuse(lora, f"they do not fit ({first_sentence(error)})") from None
    applied = {name: _count_applied(part) for name, part in parts.items()}
    if sum(applied.values()) != layers:
        pipe.unload_lora_weights()
        if any(name.endswith("alpha") and not value.any() for name, value in weights.items()):
            raise _refuse(lora, "the alpha of some is 0, with which they change nothing")
        raise _refuse(lora, f"{sum(applied.values())} of its {layers} layers fit this base")
    pipe.fuse_lora(components=[name for name, count in applied.items() if count])
    pipe.unload_lora_weights()


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, or of the one file in a folder."""
    if path.is_dir():
        files = sorted([*path.glob("*.safetensors"), *path.glob("*.bin")])
        if len(files) != 1:
            raise _refuse(path, f"the folder holds {len(files)} files of weights, expected one")
        path = files[0]
    if path.suffix != ".safetensors":
        content = read_checkpoint(path, WANTED)
        if not isinstance(content, dict):
            raise CheckpointError(f"Cannot load {path}: it holds no weights by name; give {WANTED}.")
        return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"Cannot load {path}: it is damaged ({first_sentence(error)}); get it again.") from None


def _find_layers(weights: Mapping[str, Tensor], lora: str | os.PathLike) -> int:
    """The number of layers that change anything."""
    others = [name for name in weights if not any(form.fullmatch(name) for form in (DOWN, UP, BESIDE))]
    if any(name.endswith("dora_scale") for name in others):
        raise _refuse(lora, "they are DoRA layers in Kohya's form, whose scales diffusers leaves out")
    if others:
        raise _refuse(lora, f"{others[0]} is not of a LoRA layer, of another kind of adapter perhaps")
    ups = {found[1]: weights[name] for name in weights if (found := UP.fullmatch(name))}
    downs = {found[1]: weights[name] for name in weights if (found := DOWN.fullmatch(name))}
    if not ups or ups.keys() != downs.keys():
        raise _refuse(lora, "there are no pairs of weights" if not ups else "some layers lack one of their two weights")
    for name, up in ups.items():
        two = downs[name], up
        if any(each.ndim < 2 or not each.is_floating_point() for each in two) or len(two[0]) != two[1].shape[1]:
            shapes = " and ".join(f"{tuple(each.shape)} {str(each.dtype).removeprefix('torch.')}" for each in two)
            raise _refuse(lora, f"the two weights of {name}, {shapes}, do not belong together")
    changing = sum(bool(up.any()) for up in ups.values())
    if not changing:
        raise _refuse(lora, "they change nothing, the second weight of each is zero, as before a training")
    return changing


def _check_weights(parts: Mapping[str, Any], weights: Mapping[str, Tensor], lora: str | os.PathLike) -> None:
    """OptionError if a weight is not finite, or has another width than the layer of that name; unknown names pass."""
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise _refuse(lora, f"{name} holds NaN or infinity")
        down, up = DOWN.fullmatch(name), UP.fullmatch(name)
        found = down or up
        if found is None:
            continue
        part, _, path = found[1].partition(".")
        layer = _find_weight(parts.get(part), path)
        axis = 1 if down else 0  # a weight is (out, in, ...), its LoRA layer (rank, in, ...) and (out, rank, ...)
        if layer is not None and (value.ndim < 2 or value.shape[axis] != layer.shape[axis]):
            shapes = f"{tuple(value.shape)} does not fit the layer of {tuple(layer.shape)}"
            raise _refuse(lora, f"{name} of {shapes}, they are of another model")


def _find_weight(part: Any, path: str) -> Tensor | None:
    """The weight of a layer of a model, by the name of now or that of transformers 4; None if there is none."""
    try:
        return part.get_submodule(path.removeprefix("text_model.")).weight
    except AttributeError:
        return None


def _prepare(pipe: Any, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the names that diffusers and peft understand, with their scales multiplied in."""
    if getattr(pipe, "unet", None) is None:
        return weights
    state, alphas = pipe.lora_state_dict(dict(weights), unet_config=pipe.unet.config)
    named: dict[str, Tensor] = {}
    for name, value in state.items():
        head, _, tail = name.partition(".self_attn.")
        for old, new in ATTENTION.items() if name.startswith("text_encoder") and tail else ():
            tail = tail.replace(f"{old}_lora.down", f"{new}.lora_A").replace(f"{old}_lora.up", f"{new}.lora_B")
        named[f"{head}.self_attn.{tail}" if tail else name] = value
    return _scale(named, alphas or {})


def _scale(state: dict[str, Tensor], alphas: Mapping[str, float]) -> dict[str, Tensor]:
    """alpha / rank times the second weight of each layer; `alphas` are by the name of the first."""
    ranks = {found[1]: len(value) for name, value in state.items() if (found := DOWN.fullmatch(name))}
    scales = {_layer_of(name): float(alpha) for name, alpha in alphas.items()}
    return {
        name: value * (scales.get(found[1], ranks[found[1]]) / ranks[found[1]])
        if (found := UP.fullmatch(name))
        else value
        for name, value in state.items()
    }


def _layer_of(alpha: str) -> str:
    name = alpha.removesuffix(".alpha")
    found = DOWN.fullmatch(name) or DOWN.fullmatch(f"{name}.weight") or UP.fullmatch(f"{name}.weight")
    layer = found[1] if found else name
    for old, new in ATTENTION.items() if layer.startswith("text_encoder") else ():
        layer = layer.replace(f".self_attn.{old}", f".self_attn.{new}")
    return layer


def _count_applied(part: torch.nn.Module) -> int:
    """The layers of a model that now have a LoRA layer that changes something."""
    found = [each for module in part.modules() if (each := getattr(module, "lora_B", None)) is not None]
    return sum(bool(weight.any()) for each in found for weight in each.parameters())


def _refuse(lora: str | os.PathLike, reason: str) -> OptionError:
    return OptionError(f"Cannot use the LoRA layers in {lora}: {reason}; pass {WANTED}.")
