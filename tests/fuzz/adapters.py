"""LoRA files of others, whole and damaged: each of their layers is added to its weight, or a sentence says why not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.fuzz import things
from tests.fuzz.cases import described, hold
from tests.fuzz.inputs import Rng, pick, spoilt
from tests.fuzz.watched import run_command

ENDS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "ff.net.2")
Layers = dict[str, tuple[Tensor, Tensor]]  # name of a weight of the denoiser -> down (rank, in), up (out, rank)


def lora(rng: Rng, folder: Path) -> str:
    """`assemble --lora` with a file of any form, one in three of them as it should be."""
    layers = _make_layers(rng)
    form = pick(rng, tuple(FORMS))
    content = FORMS[form](layers)
    how = pick(rng, tuple(DAMAGE)) if rng.random() < 0.67 else ""
    content = DAMAGE[how](rng, content) if how else content
    suffix, path = _write(rng, folder, content)
    if not how and rng.random() < 0.2:
        how, data = "bytes", path.read_bytes()
        path.write_bytes(data[: int(len(data) * rng.uniform(0, 0.99))] if rng.random() < 0.6 else spoilt(rng, data)[0])
    what = f"{form}, {suffix}, {how or 'whole'}, {len(layers)} layers"
    with described(what):
        given = ["--base", str(things.base()), "--encoder", "mini", "--lora", str(path), "-o", "made"]
        run_command(["assemble", *given], folder, what)
        changed, finite = _compare(folder / "made")
        hold(how in ("", "bytes"), f"it was made; {len(changed)} weights changed")
        hold(finite and changed == set(layers), f"{len(changed)} weights changed, and {len(layers)} were given")
    return what


def _make_layers(rng: Rng) -> Layers:
    weights = load_file(next((things.base() / "unet").glob("*.safetensors")))
    rank, ends = int(rng.integers(1, 5)), pick(rng, (ENDS, ENDS[:3], ENDS[:1]))
    torch.manual_seed(int(rng.integers(2**31)))
    return {
        name.removesuffix(".weight"): (torch.randn(rank, weight.shape[1]), torch.randn(weight.shape[0], rank))
        for name, weight in sorted(weights.items())
        if name.removesuffix(".weight").endswith(ends) and weight.ndim == 2
    }


def _compare(made: Path) -> tuple[set[str], bool]:
    """(the weights that are not those of the base, whether all of them are numbers)."""
    before, after = (load_file(next((each / "unet").glob("*.safetensors"))) for each in (things.base(), made))
    finite = all(bool(torch.isfinite(each).all()) for each in after.values())
    return {name.removesuffix(".weight") for name in before if not torch.equal(before[name], after[name])}, finite


# how trainers name the weights


def _name_as_peft(layers: Layers) -> dict[str, Tensor]:
    pairs = [{f"unet.{name}.lora_A.weight": a, f"unet.{name}.lora_B.weight": b} for name, (a, b) in layers.items()]
    return {name: value for each in pairs for name, value in each.items()}


def _name_as_kohya(layers: Layers) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for name, (down, up) in layers.items():
        head = f"lora_unet_{name.replace('.', '_')}"
        out |= {f"{head}.lora_down.weight": down, f"{head}.lora_up.weight": up, f"{head}.alpha": torch.tensor(2.0)}
    return out


def _name_as_diffusers(layers: Layers) -> dict[str, Tensor]:
    pairs = [{f"unet.{name}.lora.down.weight": a, f"unet.{name}.lora.up.weight": b} for name, (a, b) in layers.items()]
    return {name: value for each in pairs for name, value in each.items()}


FORMS: dict[str, Callable[[Layers], dict[str, Tensor]]] = {
    "peft": _name_as_peft,
    "kohya": _name_as_kohya,
    "diffusers": _name_as_diffusers,
}


# what may be wrong with them; each must be refused


def _change_one(rng: Rng, content: dict[str, Tensor], act: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    name = pick(rng, [name for name in sorted(content) if content[name].ndim])
    return content | {name: act(content[name]).contiguous()}


def _drop_one(rng: Rng, content: dict[str, Tensor]) -> dict[str, Tensor]:
    name = pick(rng, [name for name in sorted(content) if content[name].ndim])
    return {each: value for each, value in content.items() if each != name}


def _rename(rng: Rng, content: dict[str, Tensor], old: str, new: str, share: float) -> dict[str, Tensor]:
    layers = sorted({name.split(".lora")[0].removesuffix(".alpha") for name in content})
    chosen = tuple(f"{name}." for name in layers[: max(1, int(share * len(layers)))])
    return {name.replace(old, new) if name.startswith(chosen) else name: value for name, value in content.items()}


DAMAGE: dict[str, Callable[[Rng, dict[str, Tensor]], Any]] = {
    "wider": lambda rng, c: {name: each.repeat_interleave(2, -1) if each.ndim else each for name, each in c.items()},
    "one wider": lambda rng, c: _change_one(rng, c, lambda each: torch.cat([each, each])),
    "NaN": lambda rng, c: _change_one(rng, c, lambda each: each * float("nan")),
    "infinite": lambda rng, c: _change_one(rng, c, lambda each: each / 0),
    "flat": lambda rng, c: _change_one(rng, c, torch.flatten),
    "whole numbers": lambda rng, c: _change_one(rng, c, Tensor.int),
    "zero": lambda rng, c: {name: 0 * each if "up" in name or "lora_B" in name else each for name, each in c.items()},
    "one missing": _drop_one,
    "nothing": lambda rng, c: {},
    "unknown blocks": lambda rng, c: _rename(rng, c, "blocks", "blobs", 1.0),
    "some unknown": lambda rng, c: _rename(rng, c, "attn", "atn", 0.5),
    "of a transformer": lambda rng, c: _rename(rng, c, "unet", "transformer", 1.0),
    "more beside": lambda rng, c: c | {"emb_params": torch.ones(2, 32)},
    "another adapter": lambda rng, c: {name.replace("lora", "hada"): value for name, value in c.items()},
    "a list": lambda rng, c: list(c.values()),
    "text": lambda rng, c: json.dumps(sorted(c)),
}


def _write(rng: Rng, folder: Path, content: Any) -> tuple[str, Path]:
    suffix = pick(rng, (".safetensors",) * 4 + (".bin", ".pt"))
    path = folder / f"a{suffix}"
    if not isinstance(content, dict):
        torch.save(content, path)
    elif suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return suffix, path
