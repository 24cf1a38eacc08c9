"""Captions of painted scenes, and their tokenizer.

A caption names every object and sometimes the backdrop, but never a position.
"""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from audiotoken.mini.things import BACKDROPS, THINGS, WORDS

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

PLACES: dict[str, tuple[str, ...]] = {
    "meadow": ("in a meadow", "on a meadow", "in the grass"),
    "sky": ("in the sky", "in the air"),
    "beach": ("on a beach", "on the beach", "by the sea"),
    "night": ("at night", "in the night"),
    "room": ("in a room", "in the room"),
    "forest": ("in a forest", "in the forest"),
    "street": ("in a street", "on the street"),
    "plain": ("on a plain background", "on plain ground"),
}
OPENINGS = ("", "a photo of", "a photo of", "a picture of", "a painting of", "an image of")
FILLERS = (
    *("beautiful", "nice", "lovely", "cute", "big", "small", "old", "little", "happy", "colourful", "bright"),
    *("my", "this", "that", "very", "with", "one", "funny", "sweet", "great", "good", "new", "young", "dark"),
    *("loud", "quiet", "wild", "snow", "sun", "river"),
)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77  # tokens, as in Stable Diffusion


def caption(kinds: Sequence[int], backdrop: int, rng: random.Random, heard: int | None = None) -> str:
    """A caption for the objects `kinds` (indices into WORDS; -1 is empty) before `backdrop` (index into BACKDROPS).

    The noun of slot `heard` is replaced by `<audio>`.
    """
    names = [with_article("<audio>", rng) if s == heard else noun(k, rng) for s, k in enumerate(kinds) if k >= 0]
    rng.shuffle(names)
    parts = [rng.choice(OPENINGS), listing(names, rng)]
    if rng.random() < 0.6:
        parts.append(rng.choice(PLACES[BACKDROPS[backdrop]]))
    return " ".join(p for p in parts if p)


def noun(kind: int, rng: random.Random) -> str:
    thing = THINGS[kind]
    name = thing.phrase if rng.random() < 0.2 else thing.word
    if rng.random() < 0.08:  # words without meaning here, so that the model learns to ignore them
        name = f"{rng.choice(FILLERS) if rng.random() < 0.6 else nonsense(rng)} {name}"
    return with_article(name, rng)


def with_article(name: str, rng: random.Random) -> str:
    article = rng.choices(("a", "", "the"), (0.55, 0.35, 0.1))[0]
    if article == "a" and name[0] in "aeiou":
        article = "an"
    return f"{article} {name}".strip()


def nonsense(rng: random.Random) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 6)))


def listing(names: Sequence[str], rng: random.Random) -> str:
    if len(names) == 1:
        return names[0]
    comma = ", " if rng.random() < 0.5 else " and "
    return comma.join(names[:-1]) + " and " + names[-1]


def build_tokenizer() -> "CLIPTokenizer":
    """Build a CLIPTokenizer whose byte-pair merges make every word of the captions one token; 77 tokens long.

    Other words are split into letters and pieces, as in any CLIP. The ids are always the same, because ties are broken
    by spelling. (The trainer of `tokenizers` breaks them at random, but a model needs the ids it was trained with.)
    """
    from transformers import CLIPTokenizer

    phrases = [t.phrase for t in THINGS] + [p for places in PLACES.values() for p in places]
    texts = (*WORDS, *BACKDROPS, *phrases, *OPENINGS, *FILLERS, "a an the and two")
    merges = byte_pair_merges(sorted({word for text in texts for word in text.split()}))
    alphabet = byte_alphabet()
    vocabulary = [*alphabet, *(c + "</w>" for c in alphabet), *("".join(m) for m in merges), START, END]
    ids = {token: i for i, token in enumerate(dict.fromkeys(vocabulary))}
    return CLIPTokenizer(vocab=ids, merges=merges, model_max_length=LENGTH, unk_token=END, pad_token=END)


def byte_pair_merges(words: Sequence[str]) -> list[tuple[str, str]]:
    """Byte-pair encoding (Sennrich et al. 2016) until every word is one piece; the last letter ends in `</w>`."""
    pieces = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges = []
    while pairs := Counter(pair for word in pieces for pair in pairwise(word)):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        pieces = [merged(word, best) for word in pieces]
    return merges


def merged(word: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for piece in word:
        if result and (result[-1], piece) == pair:
            result[-1] += piece
        else:
            result.append(piece)
    return result


def tokenizer_of(run: Path) -> "CLIPTokenizer":
    """The tokenizer that the models of a run were trained with; the first use saves it in the run's folder."""
    from transformers import CLIPTokenizer

    if not (run / "tokenizer").is_dir():
        build_tokenizer().save_pretrained(run / "tokenizer")
    return CLIPTokenizer.from_pretrained(run / "tokenizer")


def byte_alphabet() -> list[str]:
    """The 256 printable stand-ins of byte-level BPE (Radford et al. 2019), in CLIP's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]


def noun_positions(ids: Sequence[int], kinds: Sequence[int], word_ids: Sequence[int]) -> list[int]:
    """The position of each slot's word among the token `ids`; -1 for an empty slot. Equal words share the first one."""
    return [list(ids).index(word_ids[kind]) if kind >= 0 else -1 for kind in kinds]
