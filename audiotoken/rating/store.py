"""Every answer as one row of a SQLite file, on the disk before the page hears that it is."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from audiotoken.errors import OptionError
from audiotoken.rating.study import Order

FILE = "ratings.sqlite"
WAIT = 10  # seconds for another process that writes
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
    rater: str
    clip: str
    system: str
    question: str  # "belongs", or "side: " and the object
    answer: str  # "1" to "5", "yes", "no" or "cannot say"
    time: str = ""  # UTC, ISO 8601; of the last change


class Store:
    """Open as long as it is used; any thread may call it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = Lock()
        with self._sentences():
            self.file = sqlite3.connect(path, timeout=WAIT, isolation_level=None, check_same_thread=False)
            self.file.execute("PRAGMA journal_mode = WAL")
            self.file.execute("PRAGMA synchronous = FULL")  # a power cut loses nothing either
            self.file.executescript(TABLES)

    def put(self, answer: Answer) -> None:
        """Written when this returns; a second answer to the same question takes the place of the first."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._sentences(), self.lock:
            self.file.execute(PUT, (*astuple(answer)[:5], now))

    def answers(self, rater: str | None = None) -> list[Answer]:
        """Of one rater, or all of them, by rater, clip, system and question."""
        every = "SELECT * FROM answers WHERE ? IS NULL OR rater = ? ORDER BY rater, clip, system, question"
        with self._sentences(), self.lock:
            return [Answer(*row) for row in self.file.execute(every, (rater, rater))]

    def order(self, rater: str, proposed: Order) -> Order:
        """What this rater is shown, as at the first time: what is new comes last, what is gone is left out."""
        with self._sentences(), self.lock, self._transaction():
            query = "SELECT clip, systems FROM orders WHERE rater = ? ORDER BY place"
            before = {clip: json.loads(systems) for clip, systems in self.file.execute(query, (rater,))}
            now = dict(proposed)
            order = [(clip, _kept(before[clip], now[clip])) for clip in before if clip in now]
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
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            where = "choose a folder where files can be made, or move the file away"
            raise OptionError(f"Cannot keep answers in {self.path}: {error}; {where}.") from None


def _kept(before: list[str], now: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([each for each in before if each in now] + [each for each in now if each not in before])
