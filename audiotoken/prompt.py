"""A text with sounds in it, as the text encoder reads it (AudioToken, arXiv 2305.13050, sec. 3.2).

Conventions: `<audio>` in a text stands for one sound; a sound is a vector, or a few in a row, of the width of the text
encoder's input embeddings. Positions count tokens of the padded prompt, the start token is 0. The vectors take the
place of input embeddings by a hook on the embedding layer: neither the tokenizer nor the embedding table is touched.

`(<audio>:1.3)` weighs a sound: where it stands, the text encoder's output z becomes z0 + 1.3 (z - z0), z0 being the
output for the empty prompt there, as ComfyUI weighs words. Only sounds have weights; other brackets are text.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from audiotoken.errors import PromptError
from audiotoken.placeholder import PLACEHOLDER, SOUND, check_count

HEAVIEST = 10.0  # weights go from 0 (as if nothing were said there) to this
Positions = tuple[tuple[int, ...], ...]  # [i] = where sound i stands in the padded prompt


@dataclass(frozen=True, eq=False)
class Prompt:
    """What the denoiser attends to; `positions[i]` are the tokens of sound i, in the order of the text."""

    embeddings: Float[Tensor, "1 tokens width"]
    positions: Positions
    text: str
    pooled: Float[Tensor, "1 features"] | None = None  # what SDXL's denoiser reads besides


@dataclass(frozen=True, eq=False)
class EncodedPrompts:
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
    embeddings, positions, _ = encode_texts(texts, tokens, tokenizer, text_encoder, device)
    return embeddings, positions


def encode_texts(
    texts: Sequence[str],
    tokens: Sequence[Tensor | Sequence[Tensor]],
    tokenizer: Any,
    text_encoder: Any,
    device: torch.device | None = None,
    penultimate: bool = False,
) -> tuple[Float[Tensor, "batch tokens width"], list[Positions], Tensor]:
    """As `encode_prompts`, and the first output of the text encoder, which is the pooled one where it projects.

    `penultimate` takes the embeddings from the last layer but one, without the final norm, as SDXL does.
    """
    if not texts:
        raise PromptError("Got an empty list of texts, want one or more to draw from.")
    sounds = [[_as_rows(sound) for sound in each] for each in tokens]  # [text][sound] (vectors, width)
    rows = [
        tokenize_prompt(text, tokenizer, [len(sound) for sound in each])
        for text, each in zip(texts, sounds, strict=True)
    ]
    positions = [at for _, at in rows]
    vectors = [vector for each in sounds for sound in each for vector in sound]

    def read(ids: list[list[int]]) -> tuple[Tensor, Tensor]:
        options = {"output_hidden_states": True} if penultimate else {}
        output = text_encoder(torch.tensor(ids, device=device or text_encoder.device), **options)
        return output.hidden_states[-2] if penultimate else output[0], output[0]

    with inject(text_encoder, positions, vectors):
        embeddings, first = read([ids for ids, _ in rows])
    weights = _weights(texts, positions, embeddings)
    if weights is not None:
        blank, _ = read([tokenize_prompt("", tokenizer)[0]])
        embeddings = torch.where(weights == 1, embeddings, blank + weights * (embeddings - blank))
    return embeddings, positions, first


def _weights(texts: Sequence[str], positions: Sequence[Positions], embeddings: Tensor) -> Tensor | None:
    """(batch, tokens, 1), 1 where nothing is weighed; None where nothing is at all."""
    said = [parse_sound_weights(text) for text in texts]
    if all(weight == 1 for each in said for weight in each):
        return None
    weights = torch.ones(*embeddings.shape[:2], 1)
    for row, (sounds, each) in enumerate(zip(positions, said, strict=True)):
        for at, weight in zip(sounds, each, strict=True):
            weights[row, list(at)] = weight
    return weights.to(embeddings)


def parse_sound_weights(text: str) -> list[float]:
    """Of each `<audio>` in order, 1 where none is written; PromptError for what is no weight."""
    weights = []
    for sound in SOUND.finditer(text):
        try:
            weight = 1.0 if sound["weight"] is None else float(sound["weight"])
        except ValueError:
            weight = math.nan
        if not 0 <= weight <= HEAVIEST or sound["closed"] == "":
            raise PromptError(
                f"Got {sound.group()!r} in the prompt, want a weight from 0 to {HEAVIEST:g} in it, "
                f"as in ({PLACEHOLDER}:1.3); change it."
            )
        weights.append(weight)
    return weights


def tokenize_prompt(text: str, tokenizer: Any, lengths: Sequence[int] | None = None) -> tuple[list[int], Positions]:
    """Ids of the padded prompt, `model_max_length` long, and the places it keeps for the sounds.

    `lengths[i]` is the number of vectors of sound i, 1 each by default. Words beyond the limit are cut as the
    tokenizer cuts them; a sound is never cut: PromptError.
    """
    pieces = SOUND.sub(PLACEHOLDER, text).split(PLACEHOLDER)
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
        check_width(vectors, embeddings.shape[-1])
        return embeddings.index_put(
            (torch.tensor(rows, device=embeddings.device), torch.tensor(columns, device=embeddings.device)),
            torch.stack(list(vectors)).to(embeddings),
        )

    hook = text_encoder.get_input_embeddings().register_forward_hook(replace)
    try:
        yield
    finally:
        hook.remove()


def find_word_positions(
    text: str, word: str, tokenizer: Any, lengths: Sequence[int] | None = None, nth: int = 0, taken: Sequence[int] = ()
) -> tuple[int, ...]:
    """Where the `nth` (from 0) `word`, or words in a row, of `text` stands in the prompt; PromptError when none does.

    `lengths` as in `tokenize_prompt`: sounds of several vectors move the words behind them. `taken`: positions that are
    a sound's, though a word stands there.
    """
    wanted = tokenizer(word, add_special_tokens=False).input_ids
    ids, sounds = tokenize_prompt(text, tokenizer, lengths)
    heard = {at for sound in sounds for at in sound}.union(taken)  # the ids there, and in the padding, may be words'
    words = [None if at in heard else ids[at] for at in range(ids.index(tokenizer.eos_token_id))]
    for start in range(1, len(words) - len(wanted) + 1):
        if wanted and words[start : start + len(wanted)] == wanted:
            if nth == 0:
                return tuple(range(start, start + len(wanted)))
            nth -= 1
    raise PromptError(f"The prompt {text!r} does not say {word!r}: use a word that stands in it.")


def _as_rows(sound: Float[Tensor, " width"] | Float[Tensor, "vectors width"]) -> Float[Tensor, "rows width"]:
    """One vector or a few in a row -> always rows."""
    return sound[None] if sound.ndim == 1 else sound


def _ordinary_id(tokenizer: Any) -> int:
    """Any id that is not special: the pooled output looks for the end token among the ids."""
    special = set(tokenizer.all_special_ids)
    return next(i for i in range(len(tokenizer)) if i not in special)


def check_width(vectors: Sequence[Tensor], width: int) -> None:
    """PromptError unless all are as wide as what they replace."""
    if wrong := [vector.shape[-1] for vector in vectors if vector.shape[-1] != width]:
        raise PromptError(
            f"The audio token is {wrong[0]} wide, the text encoder reads {width}: "
            "use an embedder made for this text encoder."
        )
