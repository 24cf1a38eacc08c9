"""Do the parts of a text-to-image model fit together? Asked while it is built, before it goes to any device."""

from typing import Any

from audiotoken.errors import CheckpointError


def check_model(pipe: Any) -> None:
    """CheckpointError that names the two parts that do not fit; parts that are not there fit."""
    readers = [(tokenizer, encoder) for tokenizer, encoder in pipe._text_encoders if tokenizer and encoder]
    for tokenizer, encoder in readers:
        _check_reader(tokenizer, encoder)
    if pipe.unet is None:
        return
    width = getattr(pipe.unet.config, "cross_attention_dim", None)
    widths = set(width) if isinstance(width, list | tuple) else {width}
    gives = sum(encoder.config.hidden_size for _, encoder in readers)
    if len(readers) == len(pipe._text_encoders) and widths != {None}:
        _same("takes words", widths, "text encoder", "wide", gives)
    if pipe.vae is not None:
        latents = pipe.vae.config.latent_channels
        _same("takes latents", {pipe.unet.config.in_channels}, "vae", "channels deep", latents)
        _same("gives latents", {pipe.unet.config.out_channels}, "vae", "channels deep", latents)


def _check_reader(tokenizer: Any, encoder: Any) -> None:
    rows, longest = encoder.get_input_embeddings().num_embeddings, encoder.config.max_position_embeddings
    if len(tokenizer) > rows:
        raise CheckpointError(
            f"The tokenizer does not fit the text encoder: it knows {len(tokenizer)} tokens, the text encoder {rows}; "
            "use the two of one model."
        )
    if tokenizer.model_max_length > longest:
        raise CheckpointError(
            f"The tokenizer does not fit the text encoder: its prompts are {tokenizer.model_max_length} tokens long, "
            f"the text encoder reads {longest}; set model_max_length in its tokenizer_config.json."
        )


def _same(verb: str, own: set[Any], other: str, unit: str, theirs: int) -> None:
    if own != {theirs}:
        said = " and ".join(map(str, sorted(own, key=str)))
        raise CheckpointError(
            f"The unet does not fit the {other}: it {verb} {said} {unit}, those of the {other} are {theirs}; "
            "use parts of one model, and one that draws from text."
        )
