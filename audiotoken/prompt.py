"""Encodes texts that contain sounds (AudioToken, arXiv 2305.13050, sec. 3.2).

Conventions: `<audio>` in a text stands for one sound; a sound is one vector, or several consecutive ones, of the width
of the text encoder's input embeddings. Positions count the tokens of the padded prompt; the start token is 0. A hook on
the embedding layer replaces input embeddings by the vectors: the tokenizer and the embedding table stay unchanged.

`(<audio>:1.3)` weights a sound: at its positions the text encoder's output z becomes z0 + 1.3 (z - z0), where z0 is the
output for the empty prompt, as ComfyUI weights words. Only sounds have weights; other brackets are text.
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
from audiotoken.transfer import send
from audiotoken.whole_words import find_whole_words

MAX_WEIGHT = 10.0  # weights go from 0 (like the empty prompt) to this
Positions = tuple[tuple[int, ...], ...]  # [i] = tokens of sound i in the padded prompt


@dataclass(frozen=True, eq=False)
class Prompt:
    """An encoded prompt; `positions[i]` are the tokens of sound i, in the order of the text."""

    embeddings: Float[Tensor, "1 tokens width"]
    positions: Positions
    text: str
    pooled: Float[Tensor, "1 features"] | None = None  # for the denoisers of SDXL, SD3 and FLUX.1
    cut: str = ""  # the end of the text that the text encoder does not read
    mask: Float[Tensor, "1 tokens"] | None = None  # 1 where the denoiser attends, of families that mask padding

    @property
    def notes(self) -> list[str]:
        """A sentence about the end of the text that is not read, if there is one."""
        return [describe_cut(self.cut)] if self.cut else []


@dataclass(frozen=True, eq=False)
class EncodedPrompts:
    """A batch for the denoiser: `unet(latents, t, embeddings, added_cond_kwargs=added)`."""

    embeddings: Float[Tensor, "batch tokens features"]
    positions: list[Positions]  # of each text
    added: dict[str, Tensor] = field(default_factory=dict)  # SDXL's text_embeds and time_ids, each (batch, ...)


def encode_prompt(text: str, tokens: Tensor | Sequence[Tensor], tokenizer: Any, text_encoder: Any) -> Prompt:
    """Encode a text with one entry of `tokens` per `<audio>`, (sounds, width) or (sounds, vectors, width).

    Raises PromptError if the number or the width of the sounds does not fit, or if the prompt is too long for them.
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
    """Encode a batch of texts and their sounds: (embeddings, positions of each text).

    `device` is the device of the ids, by default that of the text encoder; an offloaded one moves when it runs.
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
    """Like `encode_prompts`, with the first output of the text encoder: the pooled one, if the encoder projects.

    `penultimate` takes the embeddings from the penultimate layer, without the final norm, as SDXL does.
    """
    if not texts:
        raise PromptError("Got an empty list of texts, expected one or more; pass a text to draw.")
    sounds = [[_as_rows(sound) for sound in each] for each in tokens]  # [text][sound] (vectors, width)
    rows = [
        tokenize_prompt(text, tokenizer, [len(sound) for sound in each])
        for text, each in zip(texts, sounds, strict=True)
    ]
    positions = [at for _, at in rows]
    vectors = [vector for each in sounds for sound in each for vector in sound]

    def run_encoder(ids: list[list[int]]) -> tuple[Tensor, Tensor]:
        options = {"output_hidden_states": True} if penultimate else {}
        output = text_encoder(send(torch.tensor(ids), device or text_encoder.device), **options)
        return output.hidden_states[-2] if penultimate else output[0], output[0]

    with inject(text_encoder, positions, vectors):
        embeddings, first = run_encoder([ids for ids, _ in rows])
    weights = _weights_of(texts, positions, embeddings)
    if weights is not None:
        blank, _ = run_encoder([tokenize_prompt("", tokenizer)[0]])
        embeddings = torch.where(weights == 1, embeddings, blank + weights * (embeddings - blank))
    return embeddings, positions, first


def _weights_of(texts: Sequence[str], positions: Sequence[Positions], embeddings: Tensor) -> Tensor | None:
    """(batch, tokens, 1), 1 where there is no weight; None if no text has a weight."""
    parsed = [parse_sound_weights(text) for text in texts]
    if all(weight == 1 for each in parsed for weight in each):
        return None
    weights = torch.ones(*embeddings.shape[:2], 1)
    for row, (sounds, each) in enumerate(zip(positions, parsed, strict=True)):
        for at, weight in zip(sounds, each, strict=True):
            weights[row, list(at)] = weight
    return weights.to(embeddings)


def parse_sound_weights(text: str) -> list[float]:
    """The weight of each `<audio>` in order, 1 by default. Raises PromptError for an invalid weight."""
    weights = []
    for sound in SOUND.finditer(text):
        try:
            weight = 1.0 if sound["weight"] is None else float(sound["weight"])
        except ValueError:
            weight = math.nan
        if not 0 <= weight <= MAX_WEIGHT or sound["closed"] == "":
            raise PromptError(
                f"Got {sound.group()!r} in the prompt, expected a weight from 0 to {MAX_WEIGHT:g}, "
                f"as in ({PLACEHOLDER}:1.3); change it."
            )
        weights.append(weight)
    return weights


def tokenize_prompt(text: str, tokenizer: Any, lengths: Sequence[int] | None = None) -> tuple[list[int], Positions]:
    """(ids of the padded prompt, `model_max_length` long; positions of the sounds).

    `lengths[i]` is the number of vectors of sound i, by default 1. Words beyond the limit are cut, as the tokenizer
    does. Raises PromptError for a sound beyond the limit.
    """
    ids, positions = _list_tokens(text, tokenizer, lengths)
    limit = tokenizer.model_max_length
    if positions and positions[-1][-1] > limit - 2:
        raise PromptError(
            f"A sound would be at token {positions[-1][-1]}, but a prompt has only {limit} tokens including its end: "
            f"move {PLACEHOLDER} towards the start, or shorten the text {text!r}."
        )
    ids = [*ids[: limit - 1], tokenizer.eos_token_id]
    return ids + [tokenizer.pad_token_id] * (limit - len(ids)), tuple(positions)


def _list_tokens(text: str, tokenizer: Any, lengths: Sequence[int] | None) -> tuple[list[int], list[tuple[int, ...]]]:
    """(ids of all of the text after the start token, positions of the sounds)."""
    pieces = SOUND.sub(PLACEHOLDER, text).split(PLACEHOLDER)
    lengths = [1] * (len(pieces) - 1) if lengths is None else lengths
    check_count(text, len(pieces) - 1, len(lengths))
    ids, positions = [tokenizer.bos_token_id], []
    for i, piece in enumerate(pieces):
        if i > 0:
            positions.append(tuple(range(len(ids), len(ids) + lengths[i - 1])))
            ids += [_ordinary_id(tokenizer)] * lengths[i - 1]
        ids += tokenizer(piece, add_special_tokens=False, verbose=False).input_ids
    return ids, positions


def find_cut(text: str, tokenizer: Any, lengths: Sequence[int] | None = None) -> str:
    """The end of a text that `tokenize_prompt` leaves out, as the tokenizer spells it; empty if all fits."""
    ids, _ = _list_tokens(text, tokenizer, lengths)
    return tokenizer.decode(ids[tokenizer.model_max_length - 1 :]).strip()


def describe_cut(cut: str, what: str = "prompt") -> str:
    """A sentence about the end of a prompt that is not read."""
    shown = cut if len(cut) <= 80 else f"{cut[:80]}..."
    return f"The {what} is longer than the model reads: {shown!r} was left out; shorten it."


def describe_negative_cut(pipe: Any, negative: str | Sequence[str] | None) -> list[str]:
    """A sentence about each negative prompt whose end the pipeline does not read."""
    texts = [] if negative is None else [negative] if isinstance(negative, str) else negative
    cuts = dict.fromkeys(pipe.find_cut(text) for text in texts)
    return [describe_cut(cut, "negative prompt") for cut in cuts if cut]


@contextmanager
def inject(text_encoder: Any, positions: Sequence[Positions], vectors: Sequence[Tensor]) -> Iterator[None]:
    """Make `text_encoder(ids)` read `vectors` at `positions[row]`, in order; gradients flow through them."""
    places = [(row, at) for row, sounds in enumerate(positions) for sound in sounds for at in sound]
    if not places:
        yield
        return
    rows, columns = (list(index) for index in zip(*places, strict=True))

    def replace_embeddings(
        module: Any, args: Any, embeddings: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        check_width(vectors, embeddings.shape[-1])
        return embeddings.index_put(
            (send(torch.tensor(rows), embeddings.device), send(torch.tensor(columns), embeddings.device)),
            torch.stack(list(vectors)).to(embeddings),
        )

    hook = text_encoder.get_input_embeddings().register_forward_hook(replace_embeddings)
    try:
        yield
    finally:
        hook.remove()


def find_word_positions(
    text: str, word: str, tokenizer: Any, lengths: Sequence[int] | None = None, nth: int = 0, taken: Sequence[int] = ()
) -> tuple[int, ...]:
    """The tokens of the `nth` (from 0) occurrence of `word`, or several consecutive words, in the padded prompt.

    `lengths` as in `tokenize_prompt`: sounds of several vectors shift the words after them. `taken`: positions of
    sounds that look like words (label tokens). Raises PromptError if the text does not contain the word.
    """
    found = [each for each in _locate_words(text, word, tokenizer, lengths) if set(taken).isdisjoint(each)]
    if len(found) <= nth:
        raise PromptError(f"The prompt {text!r} does not contain {word!r}; use a word of the prompt.")
    if found[nth][-1] > tokenizer.model_max_length - 2:
        raise PromptError(
            f"The word {word!r} stands beyond the {tokenizer.model_max_length - 2} tokens of a prompt that the model "
            "reads; shorten the text, or move the word towards its start."
        )
    return found[nth]


def _locate_words(text: str, word: str, tokenizer: Any, lengths: Sequence[int] | None) -> Iterator[tuple[int, ...]]:
    """The tokens of each mention of a word between the sounds of a text, however far from its start."""
    pieces = SOUND.sub(PLACEHOLDER, text).split(PLACEHOLDER)
    lengths = [1] * (len(pieces) - 1) if lengths is None else lengths
    check_count(text, len(pieces) - 1, len(lengths))
    start = 1  # after the start token
    for piece, length in zip(pieces, [*lengths, 0], strict=True):
        options = {"add_special_tokens": False, "return_offsets_mapping": True, "verbose": False}
        places = tokenizer(piece, **options).offset_mapping
        for span in find_whole_words(piece, word):
            if tokens := find_tokens(places, span):
                yield tuple(start + at for at in tokens)
        start += len(places) + length


def find_tokens(places: Sequence[tuple[int, int]], span: tuple[int, int]) -> tuple[int, ...]:
    """The tokens that hold the characters from span[0] to span[1]; `places` are those of each token."""
    first, last = span
    return tuple(i for i, (start, end) in enumerate(places) if start < last and end > first and end > start)


def _as_rows(sound: Float[Tensor, " width"] | Float[Tensor, "vectors width"]) -> Float[Tensor, "rows width"]:
    """Add the dimension of rows to a single vector."""
    return sound[None] if sound.ndim == 1 else sound


def _ordinary_id(tokenizer: Any) -> int:
    """Any id that is not special: the pooled output is found by the id of the end token."""
    special = set(tokenizer.all_special_ids)
    return next(i for i in range(len(tokenizer)) if i not in special)


def check_width(vectors: Sequence[Tensor], width: int) -> None:
    """Raise PromptError unless all vectors have the width of the embeddings that they replace."""
    if wrong := [vector.shape[-1] for vector in vectors if vector.shape[-1] != width]:
        raise PromptError(
            f"The audio token is {wrong[0]} wide, the text encoder reads {width}: "
            "use an embedder made for this text encoder."
        )
