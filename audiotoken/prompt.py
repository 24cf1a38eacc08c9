"""A text with sounds in it, as the text encoder reads it (AudioToken, arXiv 2305.13050, sec. 3.2).

Conventions: `<audio>` in a text stands for one sound; a sound is a vector, or a few in a row, of the width of the text
encoder's input embeddings. Positions count tokens of the padded prompt, the start token is 0. The vectors take the
place of input embeddings by a hook on the embedding layer: neither the tokenizer nor the embedding table is touched.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

PLACEHOLDER = "<audio>"
TEMPLATE = f"a photo of {PLACEHOLDER}"  # the paper's

Positions = tuple[tuple[int, ...], ...]  # [i] = where sound i stands in the padded prompt


class PromptError(ValueError):
    """A prompt and sounds that do not go together; the message says what came, what is wanted, what to do."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """What the denoiser attends to; `positions[i]` are the tokens of sound i, in the order of the text."""

    embeddings: Float[Tensor, "1 tokens width"]
    positions: Positions
    text: str


@dataclass(frozen=True, eq=False)
class Condition:
    """What the denoiser is told for a batch: `unet(latents, t, embeddings, added_cond_kwargs=added)`."""

    embeddings: Float[Tensor, "batch tokens features"]
    positions: list[Positions]  # of each text
    added: dict[str, Tensor] = field(default_factory=dict)  # SDXL's text_embeds and time_ids, each (batch, ...)


def encode_prompt(text: str, tokens: Tensor | Sequence[Tensor], tokenizer: Any, text_encoder: Any) -> Prompt:
    """Text plus one entry of `tokens` per `<audio>`, (sounds, width) or (sounds, vectors, width) -> Prompt.

    PromptError when the number or the width of the sounds does not fit, or when the prompt is too long to hold them.
    """
    embeddings, positions = encode_prompts([text], [tokens], tokenizer, text_encoder)
    return Prompt(embeddings, positions[0], text)


def encode_prompts(
    texts: Sequence[str],
    tokens: Sequence[Tensor | Sequence[Tensor]],
    tokenizer: Any,
    text_encoder: Any,
    device: torch.device | None = None,
) -> tuple[Float[Tensor, "batch tokens width"], list[Positions]]:
    """The same for a batch: one text and its sounds each -> embeddings, and the positions of each text.

    `device` is where the ids go, by default where the text encoder is: an offloaded one is elsewhere until it runs.
    """
    if not texts:
        raise PromptError("Got an empty list of texts, want one or more to draw from.")
    sounds = [[_as_rows(sound) for sound in each] for each in tokens]  # [text][sound] (vectors, width)
    rows = [
        tokenize_prompt(text, tokenizer, [len(sound) for sound in each])
        for text, each in zip(texts, sounds, strict=True)
    ]
    ids = torch.tensor([row for row, _ in rows], device=device or text_encoder.device)  # (batch, tokens)
    positions = [at for _, at in rows]
    vectors = [vector for each in sounds for sound in each for vector in sound]
    with inject(text_encoder, positions, vectors):
        return text_encoder(ids)[0], positions


def tokenize_prompt(text: str, tokenizer: Any, lengths: Sequence[int] | None = None) -> tuple[list[int], Positions]:
    """Ids of the padded prompt, `model_max_length` long, and the places it keeps for the sounds.

    `lengths[i]` is the number of vectors of sound i, 1 each by default. Words beyond the limit are cut as the
    tokenizer cuts them; a sound is never cut: PromptError.
    """
    pieces = text.split(PLACEHOLDER)
    lengths = [1] * (len(pieces) - 1) if lengths is None else lengths
    check_count(text, len(pieces) - 1, len(lengths))
    ids, positions = [tokenizer.bos_token_id], []
    for i, piece in enumerate(pieces):
        if i > 0:
            positions.append(tuple(range(len(ids), len(ids) + lengths[i - 1])))
            ids += [_ordinary_id(tokenizer)] * lengths[i - 1]
        ids += tokenizer(piece, add_special_tokens=False, verbose=False).input_ids
    limit = tokenizer.model_max_length
    if positions and positions[-1][-1] > limit - 2:
        raise PromptError(
            f"A sound would stand at token {positions[-1][-1]}, but a prompt holds {limit} with its end: "
            f"move {PLACEHOLDER} towards the start, or shorten the text {text!r}."
        )
    ids = [*ids[: limit - 1], tokenizer.eos_token_id]
    return ids + [tokenizer.pad_token_id] * (limit - len(ids)), tuple(positions)


@contextmanager
def inject(text_encoder: Any, positions: Sequence[Positions], vectors: Sequence[Tensor]) -> Iterator[None]:
    """While open, `text_encoder(ids)` reads `vectors` at `positions[row]`, in order; gradients flow through them."""
    places = [(row, at) for row, sounds in enumerate(positions) for sound in sounds for at in sound]
    if not places:
        yield
        return
    rows, columns = (list(index) for index in zip(*places, strict=True))

    def replace(
        module: Any, args: Any, embeddings: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        _check_width(vectors[0], embeddings)
        return embeddings.index_put(
            (torch.tensor(rows, device=embeddings.device), torch.tensor(columns, device=embeddings.device)),
            torch.stack(list(vectors)).to(embeddings),
        )

    hook = text_encoder.get_input_embeddings().register_forward_hook(replace)
    try:
        yield
    finally:
        hook.remove()


def word_positions(text: str, word: str, tokenizer: Any, lengths: Sequence[int] | None = None) -> tuple[int, ...]:
    """Where the first `word` (or words in a row) of `text` stands in the prompt; PromptError when it does not.

    `lengths` as in `tokenize_prompt`: sounds of several vectors move the words behind them.
    """
    wanted = tokenizer(word, add_special_tokens=False).input_ids
    ids, sounds = tokenize_prompt(text, tokenizer, lengths)
    heard = {at for sound in sounds for at in sound}  # the ids there, and in the padding, may be those of real words
    words = [None if at in heard else ids[at] for at in range(ids.index(tokenizer.eos_token_id))]
    for start in range(1, len(words) - len(wanted) + 1):
        if wanted and words[start : start + len(wanted)] == wanted:
            return tuple(range(start, start + len(wanted)))
    raise PromptError(f"The prompt {text!r} does not say {word!r}: use a word that stands in it.")


def _as_rows(sound: Float[Tensor, " width"] | Float[Tensor, "vectors width"]) -> Float[Tensor, "rows width"]:
    """One vector or a few in a row -> always rows."""
    return sound[None] if sound.ndim == 1 else sound


def _ordinary_id(tokenizer: Any) -> int:
    """Any id that is not special: the pooled output looks for the end token among the ids."""
    special = set(tokenizer.all_special_ids)
    return next(i for i in range(len(tokenizer)) if i not in special)


def check_count(text: str, placeholders: int, sounds: int) -> None:
    """PromptError unless there is one place for each sound."""
    if placeholders != sounds:
        came = f"{sounds} sound{'' if sounds == 1 else 's'} came"
        raise PromptError(
            f"The prompt {text!r} has {placeholders or 'no'} {PLACEHOLDER} but {came}: "
            f"write {PLACEHOLDER} once where each sound should go."
        )


def _check_width(vector: Tensor, embeddings: Tensor) -> None:
    if vector.shape[-1] != embeddings.shape[-1]:
        raise PromptError(
            f"The audio token is {vector.shape[-1]} wide, the text encoder reads {embeddings.shape[-1]}: "
            "use an embedder made for this text encoder."
        )
