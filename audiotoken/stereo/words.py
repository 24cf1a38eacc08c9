"""Matches the words of a prompt with the sources of a scene, and composes the text that is drawn.

Conventions: labels are (label, score in [0, 1]), best first; similarity is (sources, words) in [0, 1], 1 = the source
is what the word says. A word that is a label, as it is written, is compared by the label's scores: it need not be the
best label, as a prompt names what there is, but no label outside the prompt may be far better. Other words are compared
with the meaning of the labels to the text encoder and with the source's own audio token, and the better counts.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiotoken.encoders.audioset import find_label, find_subject, is_subject_among, list_forms
from audiotoken.errors import CheckpointError, PromptError
from audiotoken.labels import choose_subject
from audiotoken.placeholder import PLACEHOLDER, SOUND
from audiotoken.prompt import Prompt
from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.joint_names import Heard, to_evidence, to_score
from audiotoken.stereo.options import UNMATCHED, check_choice
from audiotoken.whole_words import LETTERS, find_whole_words
from spatial.matching import Match, match

THRESHOLD = 0.3  # similarity from which a word and a source may be matched
PROMPTED = 4.0  # log-odds for words of the prompt, against labels that it does not name; measured
FAINT = -2.5  # log-odds from which a word of the prompt may be a source that is nothing else; measured
STOP_WORDS = re.compile(  # words that begin or end a noun phrase
    "a|an|the|some|two|three|four|many|and|or|but|with|without|of|by|on|in|at|near|under|over|behind|beside|before|"
    "above|below|between|from|into|to|through|next|is|are|was|were|while|it|its|as|that|this|there",
    re.I,
)
FRAMES = re.compile("photo|picture|image|painting|drawing|view|scene|left|right|front|middle|side", re.I)
SIDE = re.compile("left|right", re.I)  # behind a noun it is no part of it: a frog left, a bell right
WORD = re.compile(  # a mark that opens a quotation or a bracket is passed over, one that closes it ends a phrase
    rf"""<audio>|{LETTERS}(?:['’-]{LETTERS})*|[.,;:!?()<>&+/|=*–—…]|(?<=\w)["“”«»\]}}]"""
)


@dataclass(frozen=True)
class Word:
    """A word, or several consecutive words, of the prompt that could be a source."""

    text: str  # as in the prompt
    nth: int  # which of its mentions in the prompt, in any case, from 0


def find_source_words(prompt: str | None, heard: Sequence[Heard]) -> list[Word]:
    """The words of a prompt that could be a source, given the labels of all sources; none without a prompt."""
    return find_subject_words(prompt, [label for each in heard for label in score_subjects(each)]) if prompt else []


def find_subject_words(prompt: str, labels: Sequence[str] = ()) -> list[Word]:
    """Find the labels that the prompt names, and the last word of each other noun phrase, in their order.

    "two dogs and a vacuum cleaner by a river" -> dogs, vacuum cleaner, river. Words that name no sound do no harm: they
    match no source.
    """
    spans = [hit.span() for name in labels for hit in re.finditer(rf"\b{re.escape(name)}\b", prompt, re.I)]
    spans += [span for span in _find_heads(prompt) if not FRAMES.fullmatch(prompt[slice(*span)])]
    chosen: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: span[0] - span[1]):  # the longest first
        if all(end <= a or b <= start for a, b in chosen):
            chosen.append((start, end))
    text = SOUND.sub(lambda sound: " " * len(sound[0]), prompt)  # holds no words
    return [Word(prompt[start:end], _count_before(text, start, end)) for start, end in sorted(chosen)]


def _count_before(text: str, start: int, end: int) -> int:
    """How often the word from `start` to `end` is mentioned before, also where it is no source: a bank robber."""
    return sum(earlier < start for earlier, _ in find_whole_words(text, text[start:end]))


def _find_heads(prompt: str) -> list[tuple[int, int]]:
    """Find the (start, end) of the last word of each run of words without stop words."""
    heads: list[tuple[int, int]] = []
    last: tuple[int, int] | None = None
    for hit in WORD.finditer(prompt):
        ends = hit[0] == PLACEHOLDER or not hit[0][0].isalpha() or STOP_WORDS.fullmatch(hit[0])
        if ends and last is not None:
            heads.append(last)
        if ends or last is None or not SIDE.fullmatch(hit[0]):
            last = None if ends else hit.span()
    return heads if last is None else [*heads, last]


def compute_similarity(
    pipe: SoundPipeline, signals: Sequence[NDArray], rate: int, heard: Sequence[Heard], words: Sequence[Word]
) -> NDArray[np.float64]:
    """(sources, words) in [0, 1]: of words that are labels by the scores, of others by meaning and audio token."""
    if not words or not signals:
        return np.zeros((len(signals), len(words)))
    names = [word.text.lower() for word in words]
    labels = list(dict.fromkeys(subject for each in heard for subject in score_subjects(each)))
    if not labels:
        return np.array([[_score_as_written(name, each) or 0.0 for name in names] for each in heard])
    text_similarity = TextSimilarity(pipe, labels)
    scores = np.array([[score_subjects(each).get(label, 0.0) for label in labels] for each in heard])
    best = (scores[:, :, None] * text_similarity.compare_words(names)).max(axis=1)
    if pipe.audio_embedder is not None:
        best = np.maximum(best, text_similarity.compare_sounds(list(signals), rate, names))
    written = compare_labels(names, heard)
    return np.where(np.isnan(written), best, written)


def compare_labels(names: Sequence[str], heard: Sequence[Heard]) -> NDArray[np.float64]:
    """(sources, words) in [0, 1], nan for words that are not labels.

    By the evidence for the word, above that for the best label outside the prompt less `PROMPTED`, and above `FAINT`;
    `THRESHOLD` where these are equal.
    """
    forms = {form for name in names for form in list_forms(name)}
    out = np.full((len(heard), len(names)), np.nan)
    for i, each in enumerate(heard):
        spoken = [pair for pair in (*each, *score_subjects(each).items())]
        others = [score for name, score in spoken if name.lower() not in forms and not is_subject_among(name, forms)]
        least = max(float(to_evidence(max(others, default=0.0))) - PROMPTED, FAINT)
        for j, name in enumerate(names):
            score = _score_as_written(name, each)
            if score is not None:
                out[i, j] = to_score(to_evidence(score) - least + to_evidence(THRESHOLD))
    return out


def score_subjects(heard: Heard) -> dict[str, float]:
    """Subjects that can be drawn, each with the best score of its labels: "Bark" and "Dog" are both a dog."""
    scores: dict[str, float] = {}
    for label, score in heard:
        name = find_subject(label)
        if name is not None:
            scores[name] = max(score, scores.get(name, 0.0))
    return scores


def _score_as_written(word: str, heard: Heard) -> float | None:
    """The score of the label or subject that the word names, in the singular or plural; None if it names none."""
    forms = list_forms(word)
    names = [*heard, *score_subjects(heard).items()]
    return max((score for name, score in names if name.lower() in forms), default=None)


def name_words(words: Sequence[Word], matches: Sequence[Match], heard: Sequence[Heard]) -> dict[int, str]:
    """{source: the subject that its word names, or the word itself}, of the sources that have a word."""
    labels = [label for each in heard for label, _ in each]
    named = {}
    for pair in matches:
        if pair.source is not None and pair.token is not None:
            text = words[pair.token].text
            label = find_label(text, labels)
            named[pair.source] = (label and find_subject(label)) or text.lower()
    return named


class TextSimilarity:
    """Compares words and sounds with labels, by the text encoder's output.

    A similarity of 0 is that of two unrelated labels (the median over the nearest other label), 1 that of equal texts.
    """

    def __init__(self, pipe: SoundPipeline, labels: Sequence[str]):
        self.pipe = pipe
        self.labels = self._encode_texts([f"a photo of a {label}" for label in labels])  # (labels, width)
        cosines = self.labels @ self.labels.T - 2 * np.eye(len(labels))
        self.unrelated = float(np.median(cosines.max(axis=1))) if len(labels) > 1 else 0.5

    def compare_words(self, words: Sequence[str]) -> NDArray[np.float64]:
        """(labels, words) in [0, 1]."""
        return self._rescale(self.labels @ self._encode_texts([f"a photo of a {word}" for word in words]).T)

    def compare_sounds(self, signals: list[NDArray], rate: int, words: Sequence[str]) -> NDArray[np.float64]:
        """(sounds, words) in [0, 1], by the learned tokens of the sounds."""
        tokens = list(self.pipe.audio_tokens(signals, rate))
        sounds = self._encode_texts([f"a photo of a {PLACEHOLDER}"] * len(tokens), tokens)
        return self._rescale(sounds @ self._encode_texts([f"a photo of a {word}" for word in words]).T)

    def _rescale(self, cosines: NDArray) -> NDArray[np.float64]:
        return np.clip((cosines - self.unrelated) / max(1 - self.unrelated, 1e-6), 0, 1)

    def _encode_texts(self, texts: list[str], sounds: Sequence[Tensor] = ()) -> NDArray[np.float64]:
        """(texts, width) of unit length."""
        dealt = [[sound] for sound in sounds] or [[] for _ in texts]
        rows = torch.nn.functional.normalize(self.pipe.encode_text_ends(texts, dealt), dim=-1)
        return rows.cpu().double().numpy()


def match_words(similarity: NDArray[np.float64]) -> list[Match]:
    """Match one to one for the largest sum of evidence; sources and words may stay without a partner."""
    matches = match(to_evidence(similarity), threshold=float(to_evidence(THRESHOLD)))
    return [replace(pair, score=float(to_score(pair.score))) for pair in matches]


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
    known: Sequence[bool],
    left_out: Collection[int] = (),
    names: Mapping[int, str] = MappingProxyType({}),
) -> tuple[Prompt, dict[int, tuple[int, ...]]]:
    """(encoded prompt, positions in it of each source that has any).

    Sources that no word names fill the `<audio>` of the prompt, those that are `known` first, the loudest first;
    without any they are added to it, or dropped, as those are that are `left_out`. With token None one such source
    becomes a learned token, but several become their labels: when separated from a mixture they are drawn more reliably
    that way (python -m experiments.bench end_to_end). names: what a person called a source is drawn as this word.
    """
    check_choice("unmatched", unmatched, UNMATCHED)
    named = {pair.source: pair.token for pair in matches if pair.source is not None and pair.token is not None}
    unnamed = sorted((i for i in range(len(signals)) if i not in named), key=lambda i: not known[i])
    placeholders = (prompt or "").count(PLACEHOLDER)
    dropped = placeholders or (prompt and unmatched == "drop")
    added = [] if dropped else [i for i in unnamed if i not in left_out]
    spoken = unnamed[:placeholders] if placeholders else added
    token = token or ("label" if len(spoken) > 1 and _all_drawable([heard[i] for i in spoken]) else None)
    if any(i in names for i in spoken):
        sounds: Any = [names[i] if i in names else choose_subject(heard[i]) for i in spoken]
    else:
        sounds = pipe.audio_prompts([signals[i] for i in spoken], rate, token) if spoken else None
    encoded = pipe.encode_prompts(_compose_text(prompt, len(added)), sounds)[0]
    positions = dict(zip(spoken, encoded.positions, strict=True))
    for source, word in named.items():
        positions[source] = pipe.find_word(encoded, words[word].text, words[word].nth)
    return encoded, positions


def _compose_text(prompt: str | None, added: int) -> str:
    """The prompt with that many placeholders added."""
    audio = " and ".join([PLACEHOLDER] * added)
    if prompt:
        return f"{prompt} and {audio}" if audio else prompt
    return f"a photo of {audio or 'a landscape'}"


def _all_drawable(heard: Sequence[Heard]) -> bool:
    """Whether each source has a label that can be drawn."""
    try:
        return all(choose_subject(each) for each in heard)
    except (CheckpointError, PromptError):
        return False
