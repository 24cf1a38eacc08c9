"""Models and examples for `experiments.bench`: random weights of a given size, and noise in memory.

Nothing is downloaded: the cost of a step does not depend on the values of the weights. "sd1" is Stable Diffusion 1.4
(its UNet of 860 M weights, VAE and CLIP-L) with BEATs-base and the published embedder; "mini" is the shipped
checkpoint; "debug" is for tests.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from audiotoken.data import Example
from audiotoken.debug import debug_pipeline, debug_tokenizer
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders.beats import BEATs
from audiotoken.model import silence_library_logs
from audiotoken.pipeline import AudioTokenPipeline

LABELS = ("dog", "rain", "bell")


@dataclass(frozen=True)
class Geometry:
    """Size of the inputs: pictures of size x size pixels, clips of `seconds`."""

    name: str
    size: int
    seconds: float


GEOMETRIES = {
    "sd1": Geometry("sd1", 512, 10.0),  # VGGSound's clips; the published trainer uses 5 s of them by default
    "mini": Geometry("mini", 128, 5.0),  # ESC-50's clips
    "debug": Geometry("debug", 32, 1.0),
}


def build(name: str, device: Any, dtype: Any, *, frozen_parts: bool = True) -> Any:
    """Build the pipeline of a geometry directly on `device` in `dtype`; the audio parts are always float32.

    Without `frozen_parts` it has no VAE and no audio encoder: training on prepared examples needs neither.
    """
    import torch

    silence_library_logs()
    device = torch.device(device)
    absent: dict[str, Any] = {} if frozen_parts else {"vae": None, "audio_encoder": None}
    if name == "sd1":
        pipe = AudioTokenPipeline(**(build_sd1_parts(device, dtype, frozen_parts) | absent))
    elif name == "mini":
        pipe = AudioTokenPipeline.from_pretrained("mini", dtype=dtype, **absent)
    else:
        parts = debug_pipeline().components | absent
        pipe = AudioTokenPipeline(**{key: part for key, part in parts.items() if key in KEPT})
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device, dtype)


KEPT = ("vae", "text_encoder", "tokenizer", "unet", "scheduler", "audio_encoder", "audio_embedder")


def build_sd1_parts(device: Any, dtype: Any, frozen_parts: bool = True) -> dict[str, Any]:
    """Stable Diffusion 1.4 as in its config files, BEATs-base and the published embedder, in evaluation mode."""
    import torch
    from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    parts: dict[str, Any] = {"tokenizer": debug_tokenizer()}  # another vocabulary, at the same cost
    noise = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    parts["scheduler"] = PNDMScheduler(**noise, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1)
    with create_weights_in(device, dtype):
        parts["unet"] = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        heads = {"num_hidden_layers": 12, "num_attention_heads": 12, "max_position_embeddings": 77}
        text = CLIPTextConfig(vocab_size=49408, hidden_size=768, intermediate_size=3072, projection_dim=768, **heads)
        parts["text_encoder"] = CLIPTextModel(text)
        if frozen_parts:
            blocks = (128, 256, 512, 512)
            down, up = ("DownEncoderBlock2D",) * len(blocks), ("UpDecoderBlock2D",) * len(blocks)
            types = {"down_block_types": down, "up_block_types": up}
            parts["vae"] = AutoencoderKL(block_out_channels=blocks, layers_per_block=2, sample_size=512, **types)
    with create_weights_in(device, torch.float32):
        if frozen_parts:
            parts["audio_encoder"] = BEATs()
        parts["audio_embedder"] = AudioEmbedder(2304, 768)
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return parts


def sharpen_attention(unet: Any, factor: float = 4.0) -> None:
    """Scale up the queries and keys of cross-attention: fresh ones attend evenly, and guidance would change nothing."""
    import torch

    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if "attn2.to_q" in name or "attn2.to_k" in name:
                weight *= factor


@contextmanager
def create_weights_in(device: Any, dtype: Any) -> Iterator[None]:
    """Create weights directly on `device` in `dtype` inside this context."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


class InMemory:
    """A source of `count` decoded pictures and clips of noise, because reading files is not measured."""

    def __init__(self, count: int, size: int, seconds: float, rate: int):
        import numpy as np
        from PIL import Image

        rng = np.random.default_rng(0)
        self.examples = [
            Example(
                f"example-{i:03}",
                LABELS[i % len(LABELS)],
                rng.uniform(-0.5, 0.5, (1, round(seconds * rate))).astype(np.float32),
                rate,
                Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)),
            )
            for i in range(count)
        ]

    def __len__(self) -> int:
        return len(self.examples)

    def key(self, i: int) -> str:
        return self.examples[i].key

    def label(self, i: int) -> str:
        return self.examples[i].label

    def __getitem__(self, i: int) -> Any:
        return self.examples[i]
