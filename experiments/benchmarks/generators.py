"""What regional attention costs beside a plain picture, by counting operations at the published sizes.

    python -m experiments.benchmarks.generators

Nothing is computed: transformers of the published configurations stand on torch's "meta" device, and one prediction of
a picture of 1024 x 1024 pixels is counted (text encoders and the VAE are not). The base ratio doubles attention alone.
"""

from typing import Any

import torch
from diffusers import (
    ChromaTransformer2DModel,
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
)
from torch.utils.flop_counter import FlopCounterMode

from audiotoken.tables import markdown_table

SIDE = 64  # pixels of attention along one side, of a picture of 1024 pixels
SD35 = {"pos_embed_max_size": 384, "qk_norm": "rms_norm", "caption_projection_dim": 1536, "num_attention_heads": 24}
KLEIN = {"num_attention_heads": 24, "joint_attention_dim": 7680, "num_layers": 5, "num_single_layers": 20}
# (name, class, configuration, tokens of the prompt, width of the prompt)
FAMILIES: tuple[tuple[str, Any, dict[str, Any], int, int], ...] = (
    ("SD3.5 Medium", SD3Transformer2DModel, SD35 | {"num_layers": 24, "dual_attention_layers": range(13)}, 333, 4096),
    ("FLUX.1", FluxTransformer2DModel, {"guidance_embeds": True}, 512, 4096),
    ("FLUX.2 Klein 4B", Flux2Transformer2DModel, KLEIN | {"guidance_embeds": False}, 512, 7680),
    ("FLUX.2 dev", Flux2Transformer2DModel, {}, 512, 15360),
    ("Chroma", ChromaTransformer2DModel, {}, 512, 4096),
    ("Qwen-Image", QwenImageTransformer2DModel, {}, 60, 3584),
)


def count_operations(kind: Any, config: dict[str, Any], tokens: int, width: int) -> tuple[float, float, float]:
    """(10^9 weights, 10^12 operations of one prediction, those of attention); one multiplication and addition is two.

    Attention is counted as the products that are not with weights.
    """
    with torch.device("meta"):
        model = kind(**config)
        inputs = make_inputs(kind, model, tokens, width)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(**inputs)
    counts = counter.get_flop_counts()["Global"]
    attention = sum(count for op, count in counts.items() if "attention" in str(op) or "bmm" in str(op))
    weights = sum(weight.numel() for weight in model.parameters())
    return weights / 1e9, sum(counts.values()) / 1e12, attention / 1e12


def make_inputs(kind: Any, model: Any, tokens: int, width: int) -> dict[str, Any]:
    """One row for a transformer's `forward`."""
    times, text = torch.ones(1), torch.ones(1, tokens, width)
    if kind is SD3Transformer2DModel:
        latents = torch.ones(1, 16, 2 * SIDE, 2 * SIDE)
        return {"hidden_states": latents, "encoder_hidden_states": text, "timestep": times} | {
            "pooled_projections": torch.ones(1, 2048)
        }
    patches = {"hidden_states": torch.ones(1, SIDE**2, model.config.in_channels), "encoder_hidden_states": text}
    if kind is QwenImageTransformer2DModel:
        return patches | {"timestep": times, "img_shapes": [[(1, SIDE, SIDE)]]}
    axes = 4 if kind is Flux2Transformer2DModel else 3
    ids = {"txt_ids": torch.ones(tokens, axes), "img_ids": torch.ones(SIDE**2, axes)}
    if kind is ChromaTransformer2DModel:
        return patches | ids | {"timestep": times, "attention_mask": torch.ones(1, tokens + SIDE**2)}
    pooled = {"pooled_projections": torch.ones(1, 768)} if axes == 3 else {}
    guidance = {"guidance": times if model.config.guidance_embeds else None}
    return patches | ids | pooled | guidance | {"timestep": times}


def main() -> None:
    rows = []
    for name, kind, config, tokens, width in FAMILIES:
        weights, total, attention = count_operations(kind, config, tokens, width)
        share = attention / total
        rows.append([name, f"{weights:.1f}", f"{total:.1f}", f"{100 * share:.0f} %", "1.00", f"{1 + share:.2f}"])
    columns = ["family", "10^9 weights", "10^12 operations", "attention", "regional", "with a base ratio"]
    print(markdown_table(columns, rows))


if __name__ == "__main__":
    main()
