"""AudioSet's 527 classes (Gemmeke et al. 2017): their names, and the word to draw for each.

A class is a MID ("/m/0bt9lr"), a name ("Dog") or a subject ("dog"). Many names say how a sound is made ("Meow"), some
say more than one thing ("Vehicle horn, car horn, honking"), some nothing one could point at ("Echo"). The table
beside this module, `audioset.csv`, has one judgement for each, made by reading all of them; its head says whose it is.
"""

import csv
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

GENERIC_SUBJECTS = frozenset(  # subjects that say less than the classes under them; a tagger scores both highly
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
MARGIN = 0.5  # an umbrella gives way to a class under it that has at least this part of its score

OTHER = {  # names of ESC-50 (Piczak 2015) and the like that neither AudioSet nor the rule serves
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
    """AudioSet's MIDs -> their names; what is no MID of AudioSet stays."""
    names = {mid: name for mid, name, _ in load_classes()}
    return tuple(names.get(label, label) for label in labels)


def find_subject(label: str) -> str | None:
    """The word to draw for a label: "Bark" -> "dog"; None when it names nothing that can be drawn ("Echo").

    A name that is not AudioSet's is read as ESC-50 writes them: "crying_baby" -> "crying baby".
    """
    label = re.sub(r"[\s_]+", " ", label).strip()
    known = _subjects()
    return known[label.lower()] if label.lower() in known else _plain(label)


def list_subjects() -> tuple[str, ...]:
    """Every word `find_subject` has for AudioSet, once each, in the order of the classes."""
    return tuple(dict.fromkeys(word for *_, word in load_classes() if word))


def find_best_subject(heard: Iterable[tuple[str, float]]) -> tuple[str, float] | None:
    """(subject, score) of the best of `heard`, (label, score) in any order; None when none of them can be drawn.

    Scores of several labels for one subject do not add up; the best counts. "Animal" 0.9, "Dog" 0.8 is a dog.
    """
    drawable = [(word, score) for label, score in heard if (word := find_subject(label))]
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


def _plain(label: str) -> str | None:
    """The first of several names, without what stands in brackets, as one writes it within a sentence."""
    return re.sub(r"\(.*?\)", "", label).split(",")[0].strip().lower() or None
