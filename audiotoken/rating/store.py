"""Every answer is one row of a SQLite file, written to the disk before the page shows it as given."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from audiotoken.errors import OptionError
from audiotoken.json_file import FormError, parse_json
from audiotoken.rating.study import Order, list_choices

FILE = "ratings.sqlite"
TIMEOUT = 10  # seconds to wait while another process writes
TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    rater TEXT NOT NULL, clip TEXT NOT NULL, system TEXT NOT NULL, question TEXT NOT NULL,
    answer TEXT NOT NULL, time TEXT NOT NULL,
    PRIMARY KEY (rater, clip, system, question)
);
CREATE TABLE IF NOT EXISTS orders (
    rater TEXT NOT NULL, place INTEGER NOT NULL, clip TEXT NOT NULL, systems TEXT NOT NULL,
    PRIMARY KEY (rater, clip)
);
"""
PUT = """
INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET answer = excluded.answer, time = excluded.time
"""


@dataclass(frozen=True)
class Answer:
    """An answer of a rater to one question about one picture."""

    rater: str
    clip: str
    system: str
    question: str  # "belongs", or "side: " and the object
    answer: str  # "1" to "5", "yes", "no" or "cannot say"
    time: str = ""  # of the last change; UTC, ISO 8601


class Store:
    """An open SQLite file; its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = Lock()
        with self._errors_as_sentences():
            self.file = sqlite3.connect(path, timeout=TIMEOUT, isolation_level=None, check_same_thread=False)
            self.file.execute("PRAGMA journal_mode = WAL")
            self.file.execute("PRAGMA synchronous = FULL")  # a power cut loses nothing either
            self.file.executescript(TABLES)

    def put(self, answer: Answer) -> None:
        """Write an answer to the disk; it replaces an earlier answer to the same question."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._errors_as_sentences(), self.lock:
            self.file.execute(PUT, (*astuple(answer)[:5], now))

    def answers(self, rater: str | None = None) -> list[Answer]:
        """Answers of one rater, or of all raters, sorted by rater, clip, system and question."""
        columns = "rater, clip, system, question, answer, time"
        query = f"SELECT {columns} FROM answers WHERE ? IS NULL OR rater = ? ORDER BY rater, clip, system, question"
        with self._errors_as_sentences(), self.lock:
            answers = [Answer(*row) for row in self.file.execute(query, (rater, rater))]
        if strange := [each for each in answers if not _is_possible(each)]:
            what = f"the answer {strange[0].answer!r} of {strange[0].rater!r} to {strange[0].question!r}"
            raise OptionError(f"Cannot read {self.path}: {what} is none that the page gives; correct it there.")
        return answers

    def order(self, rater: str, proposed: Order) -> Order:
        """The rater's order as at the first visit: new clips and systems come last, removed ones are left out."""
        with self._errors_as_sentences(), self.lock, self._transaction():
            query = "SELECT clip, systems FROM orders WHERE rater = ? ORDER BY place"
            before = {clip: _read_systems(systems) for clip, systems in self.file.execute(query, (rater,))}
            now = dict(proposed)
            order = [(clip, _merge_systems(before[clip], now[clip])) for clip in before if clip in now]
            order += [(clip, systems) for clip, systems in proposed if clip not in before]
            rows = [(rater, place, clip, json.dumps(systems)) for place, (clip, systems) in enumerate(order)]
            self.file.executemany("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?)", rows)
        return order

    def close(self) -> None:
        with self.lock:
            self.file.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.file.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.file.execute("ROLLBACK")
            raise
        self.file.execute("COMMIT")

    @contextmanager
    def _errors_as_sentences(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            advice = "choose a folder that can be written to, or move the file away"
            raise OptionError(f"Cannot store answers in {self.path}: {error}; {advice}.") from None


def _is_possible(answer: Answer) -> bool:
    """Whether the page could have stored it."""
    texts = astuple(answer)
    return all(isinstance(each, str) for each in texts) and answer.answer in list_choices(answer.question)


def _read_systems(text: object) -> list[str]:
    """The order of a clip's systems; none where somebody else wrote it."""
    try:
        systems = parse_json(text) if isinstance(text, str) else []
    except FormError:
        return []
    return [each for each in systems if isinstance(each, str)] if isinstance(systems, list) else []


def _merge_systems(before: list[str], now: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([each for each in before if each in now] + [each for each in now if each not in before])
