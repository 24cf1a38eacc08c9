"""Citations: <id> after the words of a caption that mention a thing, "a frog <frog_1> on the left"."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from guidance.counting import NUMBERS, make_noun_plural
from guidance.forms.form import guess_word

COUNTS = NUMBERS[1:]
COUNT = re.compile(rf"\b({'|'.join(COUNTS)}|\d{{1,3}})(?: more)?(?: \w+)?\s*$", re.I)
Span = tuple[int, int]


class Thing(NamedTuple):
    """What is to be cited."""

    name: str  # the id
    word: str  # "frog"
    description: str  # "a green frog"


def add_citations(caption: str, things: Sequence[Thing]) -> str:
    """The caption with the <id> of each thing after its mention; what it does not mention is added.

    things: from left to right, as captions mention several of one word: "a frog on the left, another on the right".
    """
    cited = [span for thing in things for span in _find_all(re.escape(f"<{thing.name}>"), caption)]
    things = [thing for thing in things if f"<{thing.name}>" not in caption]
    texts = {text for thing in things for text in (thing.word, guess_word(thing.description))}
    mentions, tags = find_mentions(caption, texts, cited), dict[int, str]()
    missing: dict[str, list[str]] = {}
    for text, names in _group_names(things, mentions).items():
        for end, some in _deal_names(caption, mentions[text], names):
            tags[end] = tags.get(end, "") + _tag(some)
    for thing in things:
        if not mentions[thing.word] and not mentions[guess_word(thing.description)]:
            missing.setdefault(thing.description, []).append(thing.name)
    for end in sorted(tags, reverse=True):
        caption = caption[:end] + tags[end] + caption[end:]
    added = [description + _tag(names) for description, names in missing.items()]
    return ", ".join(([caption] if caption else []) + added)


def find_mentions(caption: str, texts: Collection[str], taken: Sequence[Span] = ()) -> dict[str, list[Span]]:
    """Where a caption mentions each text, in the singular or plural, in the order of the caption.

    The longest text wins: "a car horn" mentions no car. taken: where nothing is looked for.
    """
    taken = list(taken)
    mentions: dict[str, list[Span]] = {}
    for text in sorted(texts, key=lambda text: (-len(text), text)):
        free = [each for each in _find_all(_match_forms(text), caption) if not _overlaps(each, taken)]
        mentions[text] = free
        taken += free
    return mentions


def _group_names(things: Sequence[Thing], mentions: Mapping[str, Sequence[Span]]) -> dict[str, list[str]]:
    """The text by which the caption mentions things -> their ids: their description, "green frog", or their word."""
    groups: dict[str, list[str]] = {}
    for thing in things:
        described = guess_word(thing.description)
        groups.setdefault(described if mentions[described] else thing.word, []).append(thing.name)
    return groups


def _overlaps(span: Span, others: Sequence[Span]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in others)


def _find_all(pattern: str, caption: str) -> list[Span]:
    return [found.span() for found in re.finditer(pattern, caption, re.I)]


def _deal_names(caption: str, spans: Sequence[Span], names: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """(end of a mention, the ids after it): as many as the mention counts, "two frogs"; the rest after the last."""
    for nth, (start, end) in enumerate(spans, 1):
        number = COUNT.search(caption[:start])
        count = len(names) if nth == len(spans) else _read_number(number[1]) if number else 1
        yield end, names[:count]
        names = names[count:]


def _read_number(text: str) -> int:
    return int(text) if text.isdecimal() else NUMBERS.index(text.lower())


def _tag(names: Sequence[str]) -> str:
    return "".join(f" <{name}>" for name in names)


def _match_forms(text: str) -> str:
    """A pattern of the words of a text, each as it is or in the plural: "glasses of water", "people talking"."""
    words = ["|".join(map(re.escape, _list_forms(word))) for word in text.split()]
    return r"(?<!\w)" + r"\s+".join(f"(?:{forms})" for forms in words) + r"(?!\w)"


def _list_forms(word: str) -> list[str]:
    """The word and its plurals, the longer first."""
    forms = {word, make_noun_plural(word), f"{word}s", f"{word}es", re.sub(r"fe?$", "ves", word)}  # scarfs, scarves
    return sorted(forms, key=lambda form: (-len(form), form))
