"""Which words of a prompt could be heard, how alike each is to each source, and what stands in the text for the rest.

Conventions: *heard* is what a source sounds like, (label, score in [0, 1]) best first; *similarity* is (sources, words)
in [0, 1], 1 = the source is what the word says. A word is compared in three ways, and the best counts: with the labels
as they are written, with their meaning to the text encoder, and with the source's own audio token.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.encoders.audioset import find_subject
from audiotoken.errors import CheckpointError, PromptError
from audiotoken.labels import choose_subject
from audiotoken.placeholder import PLACEHOLDER
from audiotoken.prompt import find_word_positions, tokenize_prompt
from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.options import UNMATCHED, check_choice
from spatial.matching import Match, match

Heard = Sequence[tuple[str, float]]

THRESHOLD = 0.3  # similarity from which a source is what the word says
STOP_WORDS = re.compile(  # words that end a noun phrase, or begin one
    "a|an|the|some|two|three|four|many|and|or|but|with|without|of|by|on|in|at|near|under|over|behind|beside|before|"
    "above|below|between|from|into|to|through|next|is|are|was|were|while|it|its|as|that|this|there",
    re.I,
)
FRAMES = re.compile("photo|picture|image|painting|drawing|view|scene|left|right|front|middle|side", re.I)
WORD = re.compile(r"<audio>|[^\W\d_]+(?:['-][^\W\d_]+)*|[.,;:!?()]")


@dataclass(frozen=True)
class Word:
    """A word of the prompt, or a few in a row, that could be a source."""

    text: str  # as it is written
    nth: int  # of those that are written so, from 0


def find_source_words(prompt: str | None, heard: Sequence[Heard]) -> list[Word]:
    """The words of a prompt that could be a source, given the labels of all sources; none without a prompt."""
    return find_subject_words(prompt, [label for each in heard for label in score_subjects(each)]) if prompt else []


def find_subject_words(prompt: str, labels: Sequence[str] = ()) -> list[Word]:
    """The labels that the prompt names, and the last word of each other noun phrase, in its order.

    "two dogs and a vacuum cleaner by a river" -> dogs, vacuum cleaner, river. A word that nothing sounds like does no
    harm: it is matched with nothing.
    """
    spans = [hit.span() for name in labels for hit in re.finditer(rf"\b{re.escape(name)}\b", prompt, re.I)]
    spans += [span for span in _heads(prompt) if not FRAMES.fullmatch(prompt[slice(*span)])]
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: span[0] - span[1]):  # the longest first
        if all(end <= a or b <= start for a, b in kept):
            kept.append((start, end))
    texts = [prompt[start:end] for start, end in sorted(kept)]
    lower = [text.lower() for text in texts]
    return [Word(text, lower[:i].count(lower[i])) for i, text in enumerate(texts)]


def _heads(prompt: str) -> list[tuple[int, int]]:
    """Where the last word of each run of words without little ones stands."""
    heads, last = [], None
    for hit in WORD.finditer(prompt):
        ends = hit[0] == "<audio>" or not hit[0][0].isalpha() or STOP_WORDS.fullmatch(hit[0])
        if ends and last is not None:
            heads.append(last)
        last = None if ends else hit.span()
    return heads + [last] * (last is not None)  # type: ignore[list-item]


def compute_similarity(
    pipe: SoundPipeline, signals: Sequence[NDArray], rate: int, heard: Sequence[Heard], words: Sequence[Word]
) -> NDArray[np.float64]:
    """(sources, words) in [0, 1]: the best of what the labels, their meaning and the audio tokens say."""
    if not words or not signals:
        return np.zeros((len(signals), len(words)))
    names = [word.text.lower() for word in words]
    best = np.array([[_as_written(name, each) for name in names] for each in heard])
    labels = list(dict.fromkeys(subject for each in heard for subject in score_subjects(each)))
    if not labels:
        return best
    near = TextSimilarity(pipe, labels)
    scores = np.array([[score_subjects(each).get(label, 0.0) for label in labels] for each in heard])
    best = np.maximum(best, (scores[:, :, None] * near.of_words(names)).max(axis=1))
    return best if pipe.audio_embedder is None else np.maximum(best, near.of_sounds(list(signals), rate, names))


def score_subjects(heard: Heard) -> dict[str, float]:
    """What can be drawn of the labels, each with its best score: "Bark" and "Dog" are both a dog."""
    found: dict[str, float] = {}
    for label, score in heard:
        name = find_subject(label)
        if name is not None:
            found[name] = max(score, found.get(name, 0.0))
    return found


def _as_written(word: str, heard: Heard) -> float:
    """The score of the label that the word names: as it is, as one of several, or as the drawing's word for it."""
    named = {word, word.removesuffix("s"), word.removesuffix("es")}
    return max(
        (score for name, score in [*heard, *score_subjects(heard).items()] if name.lower() in named), default=0.0
    )


class TextSimilarity:
    """Words and sounds as the text encoder reads them, beside labels.

    What is as near to a label as another label often is says nothing (0); what is the same says all (1).
    """

    def __init__(self, pipe: SoundPipeline, labels: Sequence[str]):
        self.pipe = pipe
        self.labels = self._read([f"a photo of a {label}" for label in labels])  # (labels, width)
        near = self.labels @ self.labels.T - 2 * np.eye(len(labels))
        self.nothing = float(np.median(near.max(axis=1))) if len(labels) > 1 else 0.5

    def of_words(self, words: Sequence[str]) -> NDArray[np.float64]:
        """(labels, words) in [0, 1]."""
        return self._scaled(self.labels @ self._read([f"a photo of a {word}" for word in words]).T)

    def of_sounds(self, signals: list[NDArray], rate: int, words: Sequence[str]) -> NDArray[np.float64]:
        """(sounds, words) in [0, 1], by the learned tokens of the sounds."""
        tokens = list(self.pipe.audio_tokens(signals, rate))
        sounds = self._read(["a photo of a <audio>"] * len(tokens), tokens)
        return self._scaled(sounds @ self._read([f"a photo of a {word}" for word in words]).T)

    def _scaled(self, cosines: NDArray) -> NDArray[np.float64]:
        return np.clip((cosines - self.nothing) / max(1 - self.nothing, 1e-6), 0, 1)

    def _read(self, texts: list[str], sounds: Sequence[Any] = ()) -> NDArray[np.float64]:
        """(texts, width) of unit length: where each text ends, which has seen all of it."""
        import torch

        each = [[sound] for sound in sounds] or [[] for _ in texts]
        with torch.no_grad():
            read = self.pipe.encode(texts, each).embeddings.float()
        tokenizer = self.pipe.tokenizer
        ends = [
            tokenize_prompt(text, tokenizer, [len(s) for s in said])[0].index(tokenizer.eos_token_id)
            for text, said in zip(texts, each, strict=True)
        ]
        rows = torch.nn.functional.normalize(read[torch.arange(len(texts)), torch.tensor(ends)], dim=-1)
        return rows.cpu().double().numpy()


def match_words(similarity: NDArray[np.float64]) -> list[Match]:
    """One to one by the Hungarian algorithm; sources and words may stay alone."""
    return match(similarity, threshold=THRESHOLD)


def compose_prompt(
    pipe: SoundPipeline,
    signals: Sequence[NDArray],
    rate: int,
    heard: Sequence[Heard],
    prompt: str | None,
    words: Sequence[Word],
    matches: Sequence[Match],
    unmatched: str,
    token: str | None,
) -> tuple[Any, dict[int, tuple[int, ...]]]:
    """(what the pipeline reads, positions in it of each source that has any).

    Sources that no word names fill the places that the prompt keeps, the loudest first; where it keeps none they are
    added to it, or dropped. token None is a learned token for one sound, and names for several: cut out of a recording
    they are drawn more surely by their names (python -m experiments.bench heard).
    """
    check_choice("unmatched", unmatched, UNMATCHED)
    named = {pair.source: pair.token for pair in matches if pair.source is not None and pair.token is not None}
    alone = [i for i in range(len(signals)) if i not in named]
    kept = (prompt or "").count("<audio>")
    added = [] if kept or (prompt and unmatched == "drop") else alone
    spoken = alone[:kept] if kept else added
    audio = " and ".join(["<audio>"] * len(added))
    text = f"{prompt} and {audio}" if prompt and audio else prompt or f"a photo of {audio or 'a landscape'}"
    token = token or ("label" if len(spoken) > 1 and _named([heard[i] for i in spoken]) else None)
    sounds = pipe.audio_prompts([signals[i] for i in spoken], rate, token) if spoken else None
    read = pipe.encode_prompts(text, sounds)[0]
    positions = dict(zip(spoken, read.positions, strict=True))
    for source, at in named.items():
        positions[source] = _of_word(pipe, read, words[at])
    return read, positions


def _named(heard: Sequence[Heard]) -> bool:
    """Has each a label that can be drawn."""
    try:
        return all(choose_subject(each) for each in heard)
    except (CheckpointError, PromptError):
        return False


def _of_word(pipe: SoundPipeline, read: Any, word: Word) -> tuple[int, ...]:
    """Tokens of the word that is meant, and not of a sound that is called so."""
    lengths = [len(at) for at in read.positions] if PLACEHOLDER in read.text else None
    taken = [at for sound in read.positions for at in sound]
    return find_word_positions(read.text, word.text, pipe.tokenizer, lengths, word.nth, taken)
