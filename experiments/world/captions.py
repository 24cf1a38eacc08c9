"""Captions of the painted world, and the tokenizer that reads them.

A caption counts every kind of thing, mostly names the backdrop, and never says where anything is: a noun without a
number is one of a kind.
"""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from transformers import CLIPTokenizer

from audiotoken.mini.things import BACKDROPS, THINGS, WORDS

PLACES: dict[str, tuple[str, ...]] = {
    "river": ("by a river", "by the river", "at the river"),
    "beach": ("on a beach", "on the beach", "at the beach"),
    "street": ("in a street", "on the street", "on a street"),
    "meadow": ("in a meadow", "on a meadow", "in the meadow"),
    "forest": ("in a forest", "in the forest", "in the forest"),
    "night": ("at night", "at night", "in the night"),
    "snow": ("in the snow", "in the snow", "in snow"),
    "room": ("in a room", "in the room", "in a room"),
    "sky": ("in the sky", "in the sky", "in a blue sky"),
    "city": ("in a city", "in the city", "in the city"),
}
PLACED = 0.85  # share of captions that say where the scene is
PLURALS = {"baby": "babies", "person": "people", "sheep": "sheep"}  # the others take an s
NUMBERS = {2: "two", 3: "three", 4: "four"}
OPENINGS = ("", "", "a photo of", "a photo of", "a picture of", "a painting of", "an image of")
FILLERS = (
    *("beautiful", "nice", "lovely", "cute", "big", "small", "old", "little", "happy", "colourful", "bright"),
    *("my", "this", "that", "very", "with", "funny", "sweet", "great", "good", "new", "young", "dark"),
    *("loud", "quiet", "wild", "sun", "water", "grass"),
)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77  # tokens, as in Stable Diffusion


def make_plural(name: str) -> str:
    """`crying baby` -> `crying babies`."""
    *before, last = name.split()
    return " ".join([*before, PLURALS.get(last, f"{last}s")])


def write_caption(kinds: Sequence[int], backdrop: int, rng: random.Random, heard: int | None = None) -> str:
    """A caption for the things `kinds` (indices into WORDS; -1 is empty) before `backdrop` (index into BACKDROPS).

    Instead of the noun of slot `heard` it says `<audio>`.
    """
    others = Counter(k for slot, k in enumerate(kinds) if k >= 0 and slot != heard)
    names = [write_noun(kind, count, rng) for kind, count in others.items()]
    if heard is not None:
        names.append(add_article("<audio>", rng))
    rng.shuffle(names)
    parts = [rng.choice(OPENINGS), join_names(names, rng)]
    if rng.random() < PLACED:
        parts.append(rng.choice(PLACES[BACKDROPS[backdrop]]))
    return " ".join(part for part in parts if part)


def write_noun(kind: int, count: int, rng: random.Random) -> str:
    """`a frog`, `crackling fire`, `two cute frogs`."""
    thing = THINGS[kind]
    name = thing.phrase if rng.random() < 0.15 else thing.word
    name = make_plural(name) if count > 1 else name
    if rng.random() < 0.06:  # words that mean nothing here: learn to read past them
        name = f"{rng.choice(FILLERS) if rng.random() < 0.6 else write_other_words(rng)} {name}"
    return f"{NUMBERS[count]} {name}" if count > 1 else add_article(name, rng)


def add_article(name: str, rng: random.Random) -> str:
    article = rng.choices(("a", "", "the", "one"), (0.55, 0.25, 0.1, 0.1))[0]
    if article == "a" and name[0] in "aeiou":
        article = "an"
    return f"{article} {name}".strip()


def write_other_words(rng: random.Random) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 6)))


def join_names(names: Sequence[str], rng: random.Random) -> str:
    if len(names) == 1:
        return names[0]
    comma = ", " if rng.random() < 0.5 else " and "
    return comma.join(names[:-1]) + " and " + names[-1]


def build_tokenizer() -> CLIPTokenizer:
    """A CLIPTokenizer whose byte-pair merges make every word of the captions one token; 77 tokens long.

    Other words fall apart into letters and pieces, as in any CLIP. The same ids in every process.
    """
    phrases = [t.phrase for t in THINGS] + [p for places in PLACES.values() for p in places]
    plurals = [make_plural(word) for word in WORDS]
    texts = (*WORDS, *plurals, *BACKDROPS, *phrases, *OPENINGS, *FILLERS, *NUMBERS.values(), "a an one the and clouds")
    merges = byte_pair_merges(sorted({word for text in texts for word in text.split()}))
    alphabet = make_byte_alphabet()
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
        pieces = [merge_pair(word, best) for word in pieces]
    return merges


def merge_pair(word: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for piece in word:
        if result and (result[-1], piece) == pair:
            result[-1] += piece
        else:
            result.append(piece)
    return result


def make_byte_alphabet() -> list[str]:
    """The 256 printable stand-ins of byte-level BPE (Radford et al. 2019), in CLIP's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]


def load_tokenizer(run: Path) -> CLIPTokenizer:
    """The tokenizer that the models of a run were trained with; kept in the run's folder from its first use."""
    if not (run / "tokenizer").is_dir():
        build_tokenizer().save_pretrained(run / "tokenizer")
    return CLIPTokenizer.from_pretrained(run / "tokenizer")


def list_word_ids(tokenizer: CLIPTokenizer) -> list[frozenset[int]]:
    """For each word of WORDS the ids of its singular and its plural."""
    return [frozenset(tokenizer(form).input_ids[1] for form in (word, make_plural(word))) for word in WORDS]


def find_noun_positions(ids: Sequence[int], kinds: Sequence[int], words: Sequence[frozenset[int]]) -> list[int]:
    """For each slot the place of its noun among the token `ids`; -1 for an empty slot. Twins share one place."""
    return [next(i for i, token in enumerate(ids) if token in words[k]) if k >= 0 else -1 for k in kinds]
