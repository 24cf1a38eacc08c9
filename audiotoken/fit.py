"""Checks that the parts of a text-to-image model fit together, while it is built and before it moves to a device."""

import math
from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

from audiotoken.errors import CheckpointError

PREDICTIONS = ("epsilon", "v_prediction", "sample")


def check_model(pipe: Any) -> None:
    """Raise a CheckpointError that names two parts that do not fit together; missing parts are skipped."""
    text_encoders = [(tokenizer, encoder) for tokenizer, encoder in pipe._text_encoders if tokenizer and encoder]
    for tokenizer, encoder in text_encoders:
        _check_text_encoder(tokenizer, encoder)
    _check_numbers(pipe)
    if pipe.unet is None:
        return
    _check_scheduler(pipe.scheduler)
    width = getattr(pipe.unet.config, "cross_attention_dim", None)
    widths = set(width) if isinstance(width, list | tuple) else {width}
    hidden_size = sum(encoder.config.hidden_size for _, encoder in text_encoders)
    if len(text_encoders) == len(pipe._text_encoders) and widths != {None}:
        _check_same("cross_attention_dim", widths, "text encoder", "hidden_size", hidden_size)
    if pipe.vae is not None:
        latents = pipe.vae.config.latent_channels
        _check_same("in_channels", {pipe.unet.config.in_channels}, "VAE", "latent_channels", latents)
        _check_same("out_channels", {pipe.unet.config.out_channels}, "VAE", "latent_channels", latents)


def _check_numbers(pipe: Any) -> None:
    """Numbers of the configurations that no shape shows to be wrong."""
    unet, vae, encoder = pipe.unet, pipe.vae, pipe.audio_encoder
    sample_size = None if unet is None else getattr(unet.config, "sample_size", None)
    labels = () if encoder is None else getattr(encoder, "labels", ())
    checks = [
        ("UNet", "sample_size", sample_size, sample_size is None or _is_size(sample_size)),
        ("audio_encoder", "labels", "no texts", all(isinstance(each, str) and each for each in labels)),
    ]
    if vae is not None:
        scale = vae.config.scaling_factor
        checks += [("VAE", "scaling_factor", scale, _is_real(scale) and scale > 0)]
    for name in ("default_steps", "default_guidance"):
        value = pipe.config.get(name, 1)
        whole = isinstance(value, int) and 1 <= value <= 10_000
        good = whole if name == "default_steps" else _is_real(value) and 0 <= value <= 1000
        checks += [("model", name, value, good and not isinstance(value, bool))]
    for part, name, value, good in checks:
        if not good:
            raise CheckpointError(f"Got {name}={value!r} in the {part}'s configuration, which is damaged; correct it.")


def _is_size(value: Any) -> bool:
    sizes = value if isinstance(value, list | tuple) else [value]
    return all(isinstance(each, int) and not isinstance(each, bool) and 0 < each < 10_000 for each in sizes)


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _check_scheduler(scheduler: Any) -> None:
    """Schedulers of other kinds of models lack what the denoising loop calls, or predict something else."""
    if scheduler is None:
        return
    called = ("init_noise_sigma", "scale_model_input", "add_noise", "order")
    if not all(hasattr(scheduler, name) for name in called) or _needs_more(scheduler.step):
        raise CheckpointError(
            f"The scheduler {type(scheduler).__name__} is for another kind of model; use one for Stable Diffusion's "
            "UNets, such as DDIMScheduler."
        )
    kind = scheduler.config.get("prediction_type", "epsilon")
    if kind not in PREDICTIONS:
        raise CheckpointError(
            f"Got the scheduler's prediction_type={kind!r}, expected one of {', '.join(PREDICTIONS)}; correct "
            "scheduler_config.json."
        )


def _needs_more(step: Callable[..., Any]) -> bool:
    """Whether a scheduler's step wants more than the denoiser's output, the timestep and the latents: a mask, say."""
    required = [each for each in signature(step).parameters.values() if each.default is Parameter.empty]
    return len([each for each in required if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]) > 3


def _check_text_encoder(tokenizer: Any, encoder: Any) -> None:
    rows, longest = encoder.get_input_embeddings().num_embeddings, encoder.config.max_position_embeddings
    if len(tokenizer) > rows:
        raise CheckpointError(
            f"The tokenizer does not fit the text encoder: it knows {len(tokenizer)} tokens, the text encoder {rows}; "
            "use both from one model."
        )
    if tokenizer.model_max_length > longest:
        raise CheckpointError(
            f"The tokenizer does not fit the text encoder: its prompts are {tokenizer.model_max_length} tokens long, "
            f"the text encoder reads {longest}; set model_max_length in its tokenizer_config.json."
        )


def _check_same(setting: str, own: set[Any], other: str, other_setting: str, theirs: int) -> None:
    """CheckpointError unless a setting of the UNet has the one value that a setting of the other part has."""
    if own != {theirs}:
        values = " and ".join(map(str, sorted(own, key=str)))
        raise CheckpointError(
            f"The UNet does not fit the {other}: UNet {setting}={values}, {other} {other_setting}={theirs}; "
            "use parts of one model, and one that draws from text."
        )
