"""Checks that the parts of a text-to-image model fit together, while it is built and before it moves to a device."""

from typing import Any

from audiotoken.errors import CheckpointError


def check_model(pipe: Any) -> None:
    """Raise a CheckpointError that names two parts that do not fit together; missing parts are skipped."""
    text_encoders = [(tokenizer, encoder) for tokenizer, encoder in pipe._text_encoders if tokenizer and encoder]
    for tokenizer, encoder in text_encoders:
        _check_text_encoder(tokenizer, encoder)
    if pipe.unet is None:
        return
    width = getattr(pipe.unet.config, "cross_attention_dim", None)
    widths = set(width) if isinstance(width, list | tuple) else {width}
    hidden_size = sum(encoder.config.hidden_size for _, encoder in text_encoders)
    if len(text_encoders) == len(pipe._text_encoders) and widths != {None}:
        _check_same("cross_attention_dim", widths, "text encoder", "hidden_size", hidden_size)
    if pipe.vae is not None:
        latents = pipe.vae.config.latent_channels
        _check_same("in_channels", {pipe.unet.config.in_channels}, "VAE", "latent_channels", latents)
        _check_same("out_channels", {pipe.unet.config.out_channels}, "VAE", "latent_channels", latents)


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
