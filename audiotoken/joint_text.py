"""How transformer families read a text: which encoders, in which template, and where its words stand then.

Positions count the tokens that the denoiser attends to: after the chat template and padding on the left, less what the
pipeline drops of both. A word may stand at several places, one for each encoder whose tokens the denoiser attends to.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import T5EncoderModel

from audiotoken.errors import PromptError
from audiotoken.placeholder import PLACEHOLDER, SOUND
from audiotoken.prompt import find_tokens, inject, parse_sound_weights

MARK = "\ue000"  # of private use, so that no template holds it
FILLERS = ("x", "sound", "the")  # one of them stands for one vector of a sound


@dataclass(frozen=True, eq=False)
class TextReader:
    """One text encoder of a family, and what becomes of its tokens."""

    tokenizer: Any
    encoder: Any
    limit: int  # tokens, with the template
    start: int | None = 0  # of its first token in what the denoiser attends to; None: it gives pooled features only
    template: Callable[[str], str] = str  # text -> what is tokenized
    dropped: int = 0  # tokens of the template that the pipeline leaves out, at the start
    pads: bool = True  # whether the pipeline pads a text to the limit, on the tokenizer's side
    keeps_padding: bool = True  # whether the denoiser attends to the padding, too
    adds_special: bool = True  # whether the tokenizer adds start and end, which a template may already hold

    def find(self, text: str, span: tuple[int, int]) -> tuple[int, ...]:
        """Tokens that the encoder reads, with the padding before them, that hold the characters of the span.

        PromptError where the text is too long for them.
        """
        shift, found = self._find(text, span)
        return tuple(shift + at for at in found)

    def find_attended(self, text: str, span: tuple[int, int]) -> tuple[int, ...]:
        """The same tokens where the denoiser attends to them; none if it attends to pooled features only."""
        shift, found = self._find(text, span)
        if self.start is None:
            return ()
        return tuple(self.start + shift * self.keeps_padding + at - self.dropped for at in found)

    def _find(self, text: str, span: tuple[int, int]) -> tuple[int, tuple[int, ...]]:
        """(tokens of padding on the left, the tokens of the span counted from the start of the template)."""
        whole, offset = self._fill_template(text)
        places, last = self._tokenize(whole, truncation=True, max_length=self.limit), span[1] + offset
        found = find_tokens(places, (span[0] + offset, last))
        if not found or places[found[-1]][1] < last:
            raise PromptError(
                f"A word at character {span[0]} of the prompt is beyond the {self.limit} tokens that the text encoder "
                "reads; shorten the text."
            )
        left = self.pads and self.tokenizer.padding_side == "left"
        return self.limit - len(places) if left else 0, found

    def find_cut(self, text: str) -> str:
        """The end of a text that is beyond the limit; empty if all fits."""
        whole, offset = self._fill_template(text)
        places = self._tokenize(whole)
        return "" if len(places) <= self.limit else text[max(0, places[self.limit - 1][0] - offset) :].strip()

    def _tokenize(self, whole: str, **options: Any) -> list[tuple[int, int]]:
        """The characters of each token, (start, end)."""
        options |= {"add_special_tokens": self.adds_special, "return_offsets_mapping": True}
        places: list[tuple[int, int]] = self.tokenizer(whole, **options)["offset_mapping"]
        return places

    def _fill_template(self, text: str) -> tuple[str, int]:
        """(the template with the text, where the text starts in it); a template may hold the same words before it."""
        whole = self.template(text)
        return whole, whole.index(text, self.template(MARK).index(MARK))


def find_span(readers: Sequence[TextReader], text: str, span: tuple[int, int]) -> tuple[int, ...]:
    """Positions of some characters of a text in what the denoiser attends to.

    Where one encoder reads less of a long text than another, those of the other. PromptError where none reads so far.
    """
    places: list[int] = []
    cut = None
    for reader in (reader for reader in readers if reader.start is not None):
        try:
            places += reader.find_attended(text, span)
        except PromptError as error:
            cut = error
    if cut and not places:
        raise cut
    return tuple(places)


def make_filler(readers: Sequence[TextReader], vectors: int) -> str:
    """Words that stand for the vectors of a sound: as many, each a single token to every tokenizer.

    T5's splits "x" in two. PromptError where there is no such word.
    """
    for word in FILLERS:
        spans = (0, len(word)), (len(word) + 1, 2 * len(word) + 1)
        if all(len(reader.find(f"{word} {word}", span)) == 1 for reader in readers for span in spans):
            return " ".join([word] * vectors)
    raise PromptError(
        f"None of the words {', '.join(FILLERS)} is a single token to all of the model's tokenizers, so none can stand "
        'for a sound; draw with token="label".'
    )


def fill_sounds(text: str, fillers: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The text with a filler for each `<audio>`, and where each filler stands in it, in characters."""
    if any(weight != 1 for weight in parse_sound_weights(text)):
        raise PromptError(f"Got a weighted {PLACEHOLDER}, which this model does not support; leave the weight out.")
    filled, spans, end = "", [], 0
    for sound, filler in zip(SOUND.finditer(text), fillers, strict=True):
        filled += text[end : sound.start()]
        spans.append((len(filled), len(filled) + len(filler)))
        filled, end = filled + filler, sound.end()
    return filled + text[end:], spans


@contextmanager
def read_sounds(
    readers: Sequence[TextReader], text: str, spans: Sequence[tuple[int, int]], sounds: Sequence[Tensor]
) -> Iterator[None]:
    """Context manager: every encoder reads its part of each sound, (vectors, token_width), in place of its filler.

    Gradients flow through the vectors. PromptError where a tokenizer reads the filler as another number of tokens.
    """
    with ExitStack() as hooks:
        start = 0
        for reader in readers:
            end = start + reader.encoder.get_input_embeddings().embedding_dim
            places = tuple(reader.find(text, span) for span in spans)
            if any(len(place) != len(sound) for place, sound in zip(places, sounds, strict=True)):
                raise PromptError(
                    f"The tokenizer {type(reader.tokenizer).__name__} joins a sound with what stands beside it; write "
                    f"spaces around {PLACEHOLDER}."
                )
            vectors = [vector[start:end] for sound in sounds for vector in sound]
            hooks.enter_context(inject(embedding_owner(reader.encoder), [places], vectors))
            start = end
        yield


def embedding_owner(encoder: Any) -> Any:
    """The module whose input embeddings run. T5's are those of its stack; the ones that it reports never run."""
    return encoder.encoder if isinstance(encoder, T5EncoderModel) else encoder


def chat(tokenizer: Any, thinking: bool) -> Any:
    """text -> the chat template with it as the message of a user, as the pipelines write it."""

    def write(text: str) -> str:
        messages = [{"role": "user", "content": text}]
        options = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": thinking}
        return str(tokenizer.apply_chat_template(messages, **options))

    return write
