"""A sentence for a whole scene, from the names of its things and their places; nothing heavy is imported here.

Generators that read boxes were trained on captions of whole pictures: "a frog on the left and a bell on the right, in
a meadow".
"""

import re
from collections.abc import Sequence
from itertools import groupby

from audiotoken.articles import begins_with_owner, choose_article, find_head, is_determined
from guidance.counting import NUMBERS, make_noun_plural
from guidance.layout import Entry

MIDDLE = (0.4, 0.6)  # of the width: a thing whose centre is in it is in the middle
WRITTEN_OUT = NUMBERS[:10]  # larger numbers are digits
NOTHING = "a landscape"  # as in the prompt of a plan without sources


def add_article(word: str) -> str:
    """ "an owl", "a dog", "rain", "a pair of scissors"; of a label of several names the first."""
    word = take_first_name(word)
    return f"{choose_article(word)} {word}".strip()


def make_plural(subject: str) -> str:
    """ "dog" -> "dogs", "crying baby" -> "crying babies", "glass of water" -> "glasses of water"; plurals stay."""
    if not choose_article(subject):
        return subject
    head = find_head(subject)
    *before, noun = re.split(r"(?<=\s)", head)
    return "".join([*before, make_noun_plural(noun)]) + subject[len(head) :]


def take_first_name(word: str) -> str:
    """ "Vehicle horn, car horn, honking" -> "vehicle horn", "Zipper (clothing)" -> "zipper"; other words stay."""
    first = re.sub(r"\s*\(.*?\)", "", word).split(",")[0].strip()
    if not first or first == word:
        return word
    if begins_with_owner(first) or not first[1:].islower():
        return first  # a name stays as it is, and so do letters: "Big Ben", "SUV"
    return first[0].lower() + first[1:]


def write_caption(entries: Sequence[Entry], others: Sequence[str] = (), setting: str = "") -> str:
    """A caption of things with places, from left to right, of the `others`, and of where it all is, "in a meadow"."""
    ordered = sorted(entries, key=lambda entry: entry.centre)
    seen: set[str] = set()
    groups = []
    for place, together in groupby(ordered, key=describe_place):
        words = [take_first_name(entry.word) for entry in together]
        groups.append(f"{_list_things(words, seen)} {place}")
        seen.update(words)
    parts = [join_words(groups)] if groups else []
    if others:
        others = [take_first_name(word) for word in others]
        parts.append(f"with {_list_things(others, seen)}" if parts else _list_things(others, seen))
    setting = setting.strip(" ,.")
    if not parts:
        return f"{NOTHING} {setting}".strip()
    return ", ".join([*parts, setting]) if setting else ", ".join(parts)


def describe_place(entry: Entry) -> str:
    """ "on the left", "in the middle", "on the right", or "moving from the left to the right"."""
    sides = [find_side(box) for _, box in entry.path] or [find_side(entry.box)]
    if sides[0] != sides[-1]:
        return f"moving from the {sides[0]} to the {sides[-1]}"
    side = find_side(entry.box)
    return f"{'in' if side == 'middle' else 'on'} the {side}"


def find_side(box: Sequence[float]) -> str:
    """ "left", "middle" or "right", by the box's centre."""
    x = (box[0] + box[2]) / 2
    return "left" if x < MIDDLE[0] else "right" if x > MIDDLE[1] else "middle"


def join_words(parts: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]])) if parts else ""


def _list_things(words: Sequence[str], seen: set[str]) -> str:
    """ "two frogs and a bell"; a thing that was named before is "another"."""
    return join_words([_count_thing(word, list(words).count(word), word in seen) for word in dict.fromkeys(words)])


def _count_thing(word: str, count: int, again: bool) -> str:
    article = choose_article(word)
    if is_determined(word):
        return word
    if count > 1:
        number = WRITTEN_OUT[count] if count < len(WRITTEN_OUT) else str(count)
        return f"{number} {'more ' * again}{make_plural(word)}" if article else word
    return f"another {word}" if again and article else f"more {word}" if again else add_article(word)
