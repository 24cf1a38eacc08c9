"""A rater's trials without the names of systems and clips, and a place for each answer."""

import secrets
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiotoken.errors import OptionError
from audiotoken.rating.store import Answer, Store
from audiotoken.rating.study import Order, Study, list_choices

MAX_NAME = 40  # letters of a rater's name


class RequestError(ValueError):
    """A request from the page that cannot be met; the message is one sentence."""


@dataclass(frozen=True)
class Question:
    """A question about a picture, and its answer so far."""

    key: str  # random, so that it names neither the clip nor the system
    name: str  # "belongs", or "side: " and the object
    answer: str | None  # None: not answered yet


@dataclass(frozen=True)
class Picture:
    """A picture of a trial, with the questions about it."""

    path: Path
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Trial:
    """A sound and its pictures, from left to right."""

    sound: Path
    pictures: tuple[Picture, ...]

    @property
    def questions(self) -> list[Question]:
        return [question for picture in self.pictures for question in picture.questions]

    @property
    def num_open(self) -> int:
        """How many questions have no answer."""
        return sum(question.answer is None for question in self.questions)


class Trials:
    """The trials of all raters; `folder` receives copies of sounds and pictures under random names."""

    def __init__(self, study: Study, store: Store, folder: Path, seed: int = 0) -> None:
        self.study, self.store, self.folder, self.seed = study, store, folder, seed
        asked = [(clip, system, name) for clip, system in study.pictures for name in study.questions(clip)]
        self.questions = {secrets.token_hex(8): triple for triple in asked}  # key -> (clip, system, question)
        self._keys = {triple: key for key, triple in self.questions.items()}
        self._copies: dict[Path, Path] = {}

    def start(self, rater: str) -> Order:
        """The rater's own order, the same at every visit."""
        return self.store.order(rater, self.study.order(rater, self.seed))

    def read(self, rater: str, order: Order) -> list[Trial]:
        """All trials in that order, with the rater's answers so far."""
        given = {(each.clip, each.system, each.question): each.answer for each in self.store.answers(rater)}
        return [
            Trial(self.study.clips[clip], tuple(self._picture(clip, system, given) for system in systems))
            for clip, systems in order
        ]

    def _picture(self, clip: str, system: str, given: dict[tuple[str, str, str], str]) -> Picture:
        triples = [(clip, system, name) for name in self.study.questions(clip)]
        questions = tuple(Question(self._keys[triple], triple[2], given.get(triple)) for triple in triples)
        return Picture(self.study.pictures[clip, system], questions)

    def answer(self, rater: str, key: str, answer: str) -> None:
        """Store an answer; when this returns, it is on the disk."""
        if not rater or key not in self.questions:
            raise RequestError("This page is from an earlier run; load it again and enter your name.")
        clip, system, question = self.questions[key]
        if answer not in list_choices(question):
            choices = ", ".join(list_choices(question))
            raise RequestError(f"Got the answer {answer[:20]!r}, expected one of {choices}; choose one of them.")
        self.store.put(Answer(rater, clip, system, question, answer))

    def copy_blind(self, path: Path) -> Path:
        """A copy of a sound or picture whose name is random; the browser sees the names of files."""
        if path not in self._copies:
            copy = self.folder / f"{secrets.token_hex(8)}{path.suffix.lower()}"
            try:
                shutil.copyfile(path, copy)
            except OSError as error:  # the message names no clip
                problem = error.strerror or error
                raise OptionError(f"Cannot read a sound or a picture: {problem}; restore it and reload.") from None
            self._copies[path] = copy
        return self._copies[path]


def find_open(trials: Sequence[Trial], start: int = 0) -> int | None:
    """The first trial with an open question from `start` on, then from the beginning; None if all are answered."""
    places: Iterator[int] = (place % len(trials) for place in range(start, start + len(trials)))
    return next((place for place in places if trials[place].num_open), None)


def normalise_name(name: str | None) -> str:
    """A rater's name in one spelling, so that "Anna " and "anna" are the same rater."""
    name = " ".join(unicodedata.normalize("NFC", name or "").split()).casefold()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise RequestError(f"Enter a name or a code of 1 to {MAX_NAME} letters.")
    return name
