"""The parts of a training step: timed on a device, or counted at the true size without one.

    python -m experiments.bench parts geometry=mini batch=4     # milliseconds of each part
    python -m experiments.bench arithmetic                      # Stable Diffusion 1.4: weights, TFLOP, bytes kept

Counting computes nothing (tensors are on torch's "meta" device), so a laptop needs about a minute.
"""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from audiotoken.data import fit_image
from audiotoken.denoising import DiffusionDenoising
from audiotoken.errors import OptionError
from audiotoken.placeholder import TEMPLATE
from audiotoken.prompt import tokenize_prompt
from audiotoken.tables import markdown_table
from audiotoken.training import draw_noise
from experiments.benchmarks.models import GEOMETRIES, InMemory, build, create_weights_in
from experiments.benchmarks.process import place
from experiments.benchmarks.row import now

GIB, TERA = 2**30, 1e12
FROZEN = ("VAE, encoding", "audio encoder")  # parts that training on prepared examples leaves out


@dataclass(frozen=True)
class Counted:
    """Cost of a part for one sample in one training step."""

    weights: int
    flops: float  # forward, and backward where gradients flow


def bench_parts(
    *,
    geometry: str | None = None,
    device: str | None = None,
    precision: str = "float32",
    batch: int = 4,
    seconds: float | None = None,
    repeats: int = 7,
    threads: int | None = None,
) -> str:
    """Median milliseconds of each part of a step for a batch, as a Markdown table."""
    device, geometry = place(device, geometry)
    if precision not in ("float32", "bfloat16") or geometry not in GEOMETRIES or batch < 1 or repeats < 1:
        raise OptionError(f"Got {geometry=}, {precision=}, {batch=}, {repeats=}; see configs/bench_parts.yaml.")
    found = time_parts(geometry, device, precision, batch, seconds or GEOMETRIES[geometry].seconds, repeats, threads)
    step = sum(found[name] for name in found if name not in ("UNet, forward", "tokenizing only"))
    rows = [[name, f"{1000 * value:.1f}", f"{value / step:.1%}"] for name, value in found.items()]
    table = markdown_table(["part", "ms", "share of a step"], rows, "lr")
    return f"{geometry} on {device}, {precision}, batch {batch}\n\n{table}\n"


def time_parts(
    geometry: str, device: str, precision: str, batch: int, seconds: float, repeats: int, threads: int | None
) -> dict[str, float]:
    """Median seconds of each part for a batch; on a CPU, CPU seconds, which other processes do not lengthen."""
    import torch

    torch.set_num_threads(threads or (1 if device == "cpu" else torch.get_num_threads()))
    dtype, place = getattr(torch, precision), torch.device(device)
    pipe = build(geometry, place, dtype)
    for part in ("unet", "vae", "text_encoder", "audio_encoder"):
        getattr(pipe, part).requires_grad_(False)
    size = GEOMETRIES[geometry].size
    source = InMemory(batch, size, seconds, pipe.audio_encoder.rate)
    pixels = torch.stack([fit_image(each.image, size) for each in source.examples]).to(place, dtype)
    waveform = torch.stack([torch.from_numpy(each.recording[0]) for each in source.examples]).to(place)
    with torch.no_grad():
        moments, features = pipe.vae.encode(pixels).latent_dist.parameters, pipe.audio_encoder.features(waveform)
    latents, timesteps = moments.chunk(2, dim=1)[0], torch.full((batch,), 500, device=place)
    token = pipe.audio_embedder(features).detach().requires_grad_(True)
    texts = [TEMPLATE] * batch
    states = pipe.encode(texts, [[each] for each in token]).embeddings.detach().to(dtype).requires_grad_(True)

    def unet() -> Any:
        return pipe.unet(latents, timesteps, states).sample

    def text() -> Any:
        return pipe.encode(texts, [[each] for each in token]).embeddings

    draw_level = DiffusionDenoising.of(pipe).draw_level
    parts: dict[str, Callable[[], Any]] = {
        "VAE, encoding": torch.no_grad()(lambda: pipe.vae.encode(pixels)),
        "audio encoder": torch.no_grad()(lambda: pipe.audio_encoder.features(waveform)),
        "embedder, forward and backward": lambda: pipe.audio_embedder(features).sum().backward(),
        "text encoder, forward and backward": lambda: text().float().sum().backward(),
        "tokenizing only": lambda: [tokenize_prompt(text, pipe.tokenizer) for text in texts],
        "UNet, forward": unet,
        "UNet, forward and backward": lambda: unet().float().square().mean().backward(),
        "noise": lambda: [draw_noise(0, 1, i, latents.shape[1:], draw_level) for i in range(batch)],
    }
    return {name: _seconds(part, place, repeats) for name, part in parts.items()}


def format_arithmetic() -> str:
    """The counted cost of Stable Diffusion 1.4 with BEATs-base, as Markdown."""
    counted, kept = count_sd1(), {name: count_kept_bytes(*options) for name, options in KEPT.items()}
    rows = [[name, f"{part.weights / 1e6:.1f}", f"{part.flops / TERA:.3f}"] for name, part in counted.items()]
    operations = markdown_table(["part", "weights, M", "TFLOP per sample"], rows, "lr")
    whole, cached = sum_flops(counted)
    steps = f"A whole step takes {whole / TERA:.2f} TFLOP per sample; a step on prepared examples {cached / TERA:.2f}, "
    steps += f"which is {whole / cached:.2f} times less."
    sizes = [[name, f"{size / GIB:.2f}"] for name, size in kept.items()]
    memory = markdown_table(["activations kept by the UNet", "GiB per sample"], sizes, "lr")
    return f"{operations}\n\n{steps}\n\n{memory}\n"


def sum_flops(counted: Mapping[str, Counted]) -> tuple[float, float]:
    """Floating-point operations of a whole step, and of a step on prepared examples."""
    whole = sum(part.flops for part in counted.values())
    return whole, whole - sum(counted[name].flops for name in FROZEN)


def count_sd1() -> dict[str, Counted]:
    """Count the parts at the true size, on the meta device, for 512x512 pixels and 10 s of sound."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    pipe = build("sd1", "meta", torch.float32)
    for part in (pipe.unet, pipe.vae, pipe.text_encoder, pipe.audio_encoder):
        part.requires_grad_(False)
    with torch.device("meta"):
        pixels, latents, mel = torch.empty(1, 3, 512, 512), torch.empty(1, 4, 64, 64), torch.empty(1, 998, 128)
        ids, level = torch.zeros(1, 77, dtype=torch.long), torch.zeros(1, dtype=torch.long)
        features, states = torch.empty(1, 496, 2304), torch.empty(1, 77, 768, requires_grad=True)

    def text() -> None:
        learns = lambda module, args, output: output.detach().requires_grad_(True)  # noqa: E731
        hook = pipe.text_encoder.get_input_embeddings().register_forward_hook(learns)
        pipe.text_encoder(ids)[0].sum().backward()
        hook.remove()

    steps: dict[str, tuple[Any, Callable[[], Any]]] = {
        FROZEN[0]: (pipe.vae.encoder, lambda: pipe.vae.encode(pixels)),
        FROZEN[1]: (pipe.audio_encoder, lambda: pipe.audio_encoder._encode_piece(mel)),
        "embedder, forward and backward": (pipe.audio_embedder, lambda: pipe.audio_embedder(features).sum().backward()),
        "text encoder, forward and backward": (pipe.text_encoder, text),
        "UNet, forward and backward": (pipe.unet, lambda: pipe.unet(latents, level, states).sample.sum().backward()),
    }
    counted = {}
    for name, (part, step) in steps.items():
        with FlopCounterMode(display=False) as counter:
            step()
        counted[name] = Counted(sum(weight.numel() for weight in part.parameters()), counter.get_total_flops())
    return counted


KEPT = {  # name -> (dtype, gradient checkpointing)
    "float32": ("float32", False),
    "bfloat16": ("bfloat16", False),
    "float32, gradient checkpointing": ("float32", True),
    "bfloat16, gradient checkpointing": ("bfloat16", True),
}


def count_kept_bytes(precision: str, checkpointing: bool) -> int:
    """Bytes that the UNet of Stable Diffusion 1.4 keeps between forward and backward for one 512x512 sample.

    Assumes fused attention and no autocast. The weights are not counted, since they are in memory anyway.
    """
    import torch
    from diffusers import UNet2DConditionModel
    from torch._subclasses.fake_tensor import FakeTensorMode

    dtype, kept = getattr(torch, precision), {}
    with (
        FakeTensorMode(),
        create_weights_in("cpu", dtype),
    ):  # not "meta", which would choose attention that is not fused
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8).requires_grad_(False)
        if checkpointing:
            unet.enable_gradient_checkpointing()
        weights = {weight.untyped_storage()._cdata for weight in unet.parameters()}
        states, level = torch.empty(1, 77, 768, requires_grad=True), torch.zeros(1, dtype=torch.long)

        def keep(tensor: Any) -> Any:
            storage = tensor.untyped_storage()
            if storage._cdata not in weights:
                kept[storage._cdata] = storage  # keep it alive, so that its address is not reused
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            unet.train(checkpointing)(torch.empty(1, 4, 64, 64), level, states)
    return sum(storage.nbytes() for storage in kept.values())


def _seconds(part: Callable[[], Any], device: Any, repeats: int) -> float:
    taken = []
    for _ in range(repeats + 1):
        start = now(device)
        part()
        end = now(device)
        taken.append(end[1] - start[1] if device.type == "cpu" else end[0] - start[0])
    return statistics.median(taken[1:])
