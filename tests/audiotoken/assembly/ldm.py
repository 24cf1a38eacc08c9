"""Tiny models as one file in the original layout (LDM, CompVis and Stability AI), the inverse of what diffusers reads.

Names as in diffusers.loaders.single_file_utils; written for the geometries of `audiotoken.debug`.
"""

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor


def write_single_file(pipe: Any, kind: str, file: Path, dtype: torch.dtype = torch.float32) -> Path:
    weights = {f"model.diffusion_model.{name}": value for name, value in ldm_unet(pipe.unet).items()}
    weights |= {f"first_stage_model.{name}": value for name, value in ldm_vae(pipe.vae).items()}
    if kind == "sd1":
        weights |= clip(pipe.text_encoder, "cond_stage_model.transformer.text_model.")
    elif kind == "sd2":
        weights |= open_clip(pipe.text_encoder, "cond_stage_model.model.")
    else:
        weights |= clip(pipe.text_encoder, "conditioner.embedders.0.transformer.text_model.")
        weights |= open_clip(pipe.text_encoder_2, "conditioner.embedders.1.model.")
    weights = {name: value.to(dtype).contiguous().clone() for name, value in weights.items()}
    if file.suffix == ".ckpt":
        torch.save({"state_dict": weights, "global_step": 470_000}, file)
    else:
        save_file(weights, file)
    return file


def ldm_unet(unet: Any) -> dict[str, Tensor]:
    layers = unet.config.layers_per_block + 1  # an upper block has one more, a lower one its sampler
    same = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
    same |= {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
    same |= {"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}

    def below(match: re.Match) -> str:
        block, part, i = int(match[1]), match[2], int(match[3])
        if part == "downsamplers":
            return f"input_blocks.{(block + 1) * layers}.0.op"
        return f"input_blocks.{1 + block * layers + i}.{int(part == 'attentions')}"

    def above(match: re.Match) -> str:
        block, part, i = int(match[1]), match[2], int(match[3])
        if part == "upsamplers":
            return (
                f"output_blocks.{block * layers + layers - 1}.{1 + hasattr(unet.up_blocks[block], 'attentions')}.conv"
            )
        return f"output_blocks.{block * layers + i}.{int(part == 'attentions')}"

    def named(name: str) -> str:
        stem, _, kind = name.rpartition(".")
        if stem in same:
            return f"{same[stem]}.{kind}"
        name = re.sub(r"^down_blocks\.(\d+)\.(\w+)\.(\d+)(\.conv(?=\.\w+$))?", lambda m: below(m) + kept(m), name)
        name = re.sub(r"^up_blocks\.(\d+)\.(\w+)\.(\d+)(\.conv(?=\.\w+$))?", lambda m: above(m) + kept(m), name)
        name = re.sub(r"^mid_block\.resnets\.(\d)", lambda m: f"middle_block.{2 * int(m[1])}", name)
        name = name.replace("mid_block.attentions.0", "middle_block.1")
        return _resnet(name, norm1="in_layers.0", conv1="in_layers.2", norm2="out_layers.0", conv2="out_layers.3",
                       time_emb_proj="emb_layers.1", conv_shortcut="skip_connection")  # fmt: skip

    def kept(match: re.Match) -> str:
        return "" if match[2].endswith("samplers") else match[4] or ""

    return {named(name): value for name, value in unet.state_dict().items()}


def ldm_vae(vae: Any) -> dict[str, Tensor]:
    last = len(vae.config.block_out_channels) - 1

    def named(name: str) -> str:
        name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
        name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{last - int(m[1])}.block", name)
        name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{last - int(m[1])}.upsample", name)
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        if "mid_block.attentions.0" in name:
            names = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
            stem, _, rest = name.partition("mid_block.attentions.0.")
            layer, kind = rest.rsplit(".", 1)
            return f"{stem}mid.attn_1.{names[layer]}.{kind}"
        return name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")

    weights = {named(name): value for name, value in vae.state_dict().items()}
    square = {name for name in weights if ".attn_1." in name and weights[name].ndim == 2}
    return {name: value[:, :, None, None] if name in square else value for name, value in weights.items()}


def clip(text_encoder: Any, prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in _text(text_encoder).items()}


def open_clip(text_encoder: Any, prefix: str) -> dict[str, Tensor]:
    """Queries, keys and values in one; the projection the other way round."""
    weights, ours = {}, _text(text_encoder)
    names = {"embeddings.token_embedding.weight": "token_embedding.weight"}
    names |= {"embeddings.position_embedding.weight": "positional_embedding"}
    names |= {"final_layer_norm.weight": "ln_final.weight", "final_layer_norm.bias": "ln_final.bias"}
    inner = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    inner |= {"self_attn.out_proj": "attn.out_proj"}
    for name, value in ours.items():
        if name in names:
            weights[names[name]] = value
        elif name == "text_projection.weight":
            weights["text_projection"] = value.T
        elif match := re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name):
            block, layer, kind = match.groups()
            if layer in inner:
                weights[f"transformer.resblocks.{block}.{inner[layer]}.{kind}"] = value
            elif layer.endswith("q_proj"):
                three = [ours[f"encoder.layers.{block}.self_attn.{each}_proj.{kind}"] for each in "qkv"]
                weights[f"transformer.resblocks.{block}.attn.in_proj_{kind}"] = torch.cat(three)
    return {f"{prefix}{name}": value for name, value in weights.items()}


def _text(text_encoder: Any) -> dict[str, Tensor]:
    weights = {name.removeprefix("text_model."): value for name, value in text_encoder.state_dict().items()}
    return {name: value for name, value in weights.items() if not name.endswith("position_ids")}


def _resnet(name: str, **names: str) -> str:
    stem, _, kind = name.rpartition(".")
    head, _, layer = stem.rpartition(".")
    return f"{head}.{names[layer]}.{kind}" if layer in names and ".transformer_blocks" not in head else name
