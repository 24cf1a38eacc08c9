"""AudioSet's 527 classes (Gemmeke et al. 2017): their names, and the word to draw for each.

A class is a MID ("/m/0bt9lr"), a name ("Dog") or a subject ("dog"). Many names say how a sound is made ("Meow"), some
say more than one thing ("Vehicle horn, car horn, honking"), and some name nothing visible ("Echo"). The table
beside this module, `audioset.csv`, has one judgement for each, made by reading all of them; its head says whose it is.
"""

import csv
import re
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from importlib.resources import files

from audiotoken.articles import begins_with_owner

GENERIC_SUBJECTS = frozenset(  # less specific than the classes under them; a tagger scores both highly
    (
        "aircraft",
        "alarm bell",
        "animal",
        "brass instrument",
        "emergency vehicle",
        "engine",
        "farm animal",
        "liquid",
        "machinery",
        "motor vehicle",
        "musical instrument",
        "percussion instrument",
        "person talking",
        "pet",
        "poultry",
        "power tool",
        "singer",
        "string instrument",
        "tools",
        "vehicle",
        "water",
        "wild animal",
        "woodwind instrument",
    )
)
MARGIN = 0.5  # a generic subject yields to a specific one with at least this fraction of its score

OTHER = {  # names of ESC-50 (Piczak 2015) and similar sets that neither AudioSet nor the general rule covers
    "breathing": "breathing person",
    "brushing teeth": "person brushing teeth",
    "can opening": "tin can",
    "chirping birds": "songbird",
    "clock alarm": "alarm clock",
    "clock tick": "clock",
    "coughing": "coughing person",
    "crickets": "cricket insect",
    "door wood creaks": "wooden door",
    "door wood knock": "wooden door",
    "drinking sipping": "person drinking",
    "footsteps": "walking person",
    "glass breaking": "broken glass",
    "keyboard typing": "computer keyboard",
    "laughing": "laughing person",
    "mouse click": "computer mouse",
    "sea waves": "ocean waves",
    "sneezing": "sneezing person",
}


@cache
def load_classes() -> tuple[tuple[str, str, str | None], ...]:
    """(mid, name, subject) of each class, in the order of the class heads trained on AudioSet."""
    text = files("audiotoken.encoders").joinpath("audioset.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple((row["mid"], row["name"], row["subject"] or None) for row in rows)


def resolve_mids(labels: Iterable[str]) -> tuple[str, ...]:
    """AudioSet's MIDs -> their names; other labels are unchanged."""
    names = {mid: name for mid, name, _ in load_classes()}
    return tuple(names.get(label, label) for label in labels)


def find_subject(label: str) -> str | None:
    """The word to draw for a label: "Bark" -> "dog"; None when it names nothing that can be drawn ("Echo").

    Other names are read in the style of ESC-50: "crying_baby" -> "crying baby".
    """
    label = re.sub(r"[\s_]+", " ", label).strip()
    known = _subjects()
    return known[label.lower()] if label.lower() in known else _first_name(label)


def find_label(word: str, labels: Sequence[str]) -> str | None:
    """The label that a word names, or whose subject it names, in the singular or plural; None if it names none."""
    forms = list_forms(word.lower())
    return next((label for label in labels if label.lower() in forms or is_subject_among(label, forms)), None)


def is_subject_among(label: str, forms: Collection[str]) -> bool:
    """Whether the subject of a label is among `forms`, which are in small letters: of "Tom's_dog", "tom's dog"."""
    subject = find_subject(label)
    return subject is not None and subject.lower() in forms


def list_forms(word: str) -> set[str]:
    """What a word may be in the singular."""
    return {word, word.removesuffix("s"), word.removesuffix("es")}


def list_subjects() -> tuple[str, ...]:
    """All words that `find_subject` returns for AudioSet, without duplicates, in the order of the classes."""
    return tuple(dict.fromkeys(word for *_, word in load_classes() if word))


def find_best_subject(scores: Iterable[tuple[str, float]]) -> tuple[str, float] | None:
    """(subject, score) of the best of `scores`, (label, score) in any order; None when no label can be drawn.

    Several labels of one subject count once, with the best score. "Animal" 0.9 and "Dog" 0.8 give a dog.
    """
    drawable = [(word, score) for label, score in scores if (word := find_subject(label))]
    best = max(drawable, key=lambda each: each[1], default=None)
    if best is None or best[0] not in GENERIC_SUBJECTS:
        return best
    precise = [each for each in drawable if each[0] not in GENERIC_SUBJECTS and each[1] >= MARGIN * best[1]]
    return max(precise, key=lambda each: each[1], default=best)


@cache
def _subjects() -> dict[str, str | None]:
    """Lower-case MID, name or subject -> subject; a name wins over a subject that is spelt like it."""
    words = OTHER | {word.lower(): word for word in list_subjects()}
    return words | {key.lower(): word for mid, name, word in load_classes() for key in (mid, name)}


def _first_name(label: str) -> str | None:
    """The first of several names, without what stands in brackets, as one writes it within a sentence."""
    first = re.sub(r"\(.*?\)", "", label).split(",")[0].strip()
    return (first if begins_with_owner(first) else first.lower()) or None
