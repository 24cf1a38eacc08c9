"""What the page may ask for: a rater's trials, without names of systems and clips, and a place for each answer."""

import secrets
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiotoken.rating.store import Answer, Store
from audiotoken.rating.study import SIDE, Study, choices

LONGEST = 40  # letters of a rater's name


class RequestError(ValueError):
    """A request that cannot be followed; the message is one sentence."""


class Trials:
    """Sounds and pictures have random names, new in every run: what is not in `media` cannot be asked for."""

    def __init__(self, study: Study, store: Store, seed: int) -> None:
        self.study, self.store, self.seed = study, store, seed
        self.clips = {secrets.token_hex(8): clip for clip in study.clips}
        self.pictures = {secrets.token_hex(8): shown for shown in study.pictures}  # (clip, system)
        self.media: dict[str, Path] = {name: study.clips[clip] for name, clip in self.clips.items()}
        self.media |= {name: study.pictures[shown] for name, shown in self.pictures.items()}

    def start(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """{"rater"} -> all trials of the rater, in the rater's order, with the answers given so far."""
        rater = rater_name(fields.get("rater"))
        given: dict[tuple[str, str], dict[str, str]] = {}
        for each in self.store.answers(rater):
            given.setdefault((each.clip, each.system), {})[each.question] = each.answer
        sounds = {clip: name for name, clip in self.clips.items()}
        pictures = {shown: name for name, shown in self.pictures.items()}
        trials = [
            {
                "sound": sounds[clip],
                "questions": [
                    {"name": name, "asks": name.removeprefix(SIDE), "choices": choices(name)}
                    for name in self.study.questions(clip)
                ],
                "pictures": [
                    {"name": pictures[clip, system], "answers": given.get((clip, system), {})} for system in systems
                ],
            }
            for clip, systems in self.store.order(rater, self.study.order(rater, self.seed))
        ]
        return {"rater": rater, "trials": trials}

    def answer(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """{"rater", "picture", "question", "answer"} -> stored."""
        rater = rater_name(fields.get("rater"))
        picture, question, answer = (fields.get(key) for key in ("picture", "question", "answer"))
        if not isinstance(picture, str) or picture not in self.pictures:
            raise RequestError("Got no picture of this run; load the page again.")
        clip, system = self.pictures[picture]
        if not isinstance(question, str) or question not in self.study.questions(clip):
            raise RequestError("Got a question that is not asked of this clip; load the page again.")
        if answer not in choices(question):
            raise RequestError(f"Got an answer that is none of {', '.join(choices(question))}; give one of these.")
        self.store.put(Answer(rater, clip, system, question, str(answer)))
        return {"stored": True}


def rater_name(name: Any) -> str:
    """In one spelling, so that who comes back as "anna" finds what "Anna " answered."""
    name = " ".join(unicodedata.normalize("NFC", name).split()).casefold() if isinstance(name, str) else ""
    if not 0 < len(name) <= LONGEST or not name.isprintable():
        raise RequestError(f"Got no name, want one of 1 to {LONGEST} letters; type it.")
    return name
