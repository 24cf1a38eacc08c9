"""Reading the folder to rate, the order of its trials, and the store that keeps every answer."""

import re
import sqlite3

import pytest
from PIL import Image
from rate_folder import CLIPS, OBJECTS, SYSTEMS, rate_folder

from audiotoken.errors import OptionError
from audiotoken.rating.store import FILE, Answer, Store
from audiotoken.rating.study import list_choices, read_study
from audiotoken.rating.trials import RequestError, Trials, find_open, normalise_name


@pytest.fixture
def folder(tmp_path):
    return rate_folder(tmp_path / "study")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / FILE)
    yield store
    store.close()


def test_the_folder_comes_back(folder):
    study = read_study(folder)
    assert (tuple(study.clips), study.systems) == (CLIPS, SYSTEMS)
    assert study.pictures["dog", "combined"] == folder / "combined" / "dog.png"
    assert study.questions("dog") == ("belongs",)
    assert study.questions("frog") == ("belongs", *(f"side: {each}" for each in OBJECTS["frog"]), "order")
    assert list_choices("belongs") == ("1", "2", "3", "4", "5", "cannot say")
    assert list_choices("side: frog on the left") == list_choices("order") == ("yes", "no", "cannot say")


def empty_clips(folder):
    for clip in (folder / "clips").iterdir():
        clip.unlink()


def spoil(picture):
    content = bytearray(picture.read_bytes())
    content[-20] ^= 1  # within the pixels: only their checksum tells
    picture.write_bytes(content)


BAD = {
    "Found no clips": empty_clips,
    "Found no picture of dog in": lambda folder: (folder / "combined" / "dog.png").unlink(),
    "Found no picture of bell and of 2 more in": lambda folder: (folder / "notes").mkdir(),
    "dog.wav as sound": lambda folder: (folder / "clips" / "dog.wav").write_text("no sound"),
    "dog.png as a picture": lambda folder: (folder / "mono" / "dog.png").write_text("<svg/>"),
    "frog.png as a picture": lambda folder: spoil(folder / "mono" / "frog.png"),
    "bell.png as a picture": lambda folder: Image.new("L", (8, 8)).save(folder / "mono" / "bell.png", "GIF"),
    "bell.png and bell.webp": lambda folder: (folder / "mono" / "bell.webp").write_text("twice"),
    "Cannot read": lambda folder: (folder / "objects.json").write_text("{"),
    "it holds a list, expected an object": lambda folder: (folder / "objects.json").write_text("[]"),
    "Got 'cat' in": lambda folder: (folder / "objects.json").write_text('{"cat": []}'),
    "for 'dog' in": lambda folder: (folder / "objects.json").write_text('{"dog": "left"}'),
    "expected up to": lambda folder: (folder / "objects.json").write_text('{"dog": ["left", " left"]}'),
}


@pytest.mark.parametrize("message", BAD)
def test_a_bad_folder_is_one_sentence(message, folder):
    BAD[message](folder)
    with pytest.raises(OptionError, match=message) as caught:
        read_study(folder)
    assert "\n" not in str(caught.value) and "; " in str(caught.value)


def test_the_order_is_the_raters_own(folder):
    study = read_study(folder)
    orders = {rater: study.order(rater, 0) for rater in "abcdefgh"}
    assert orders["a"] == study.order("a", 0) != study.order("a", 1)
    assert len({str(order) for order in orders.values()}) > 4
    for order in orders.values():
        assert sorted(clip for clip, _ in order) == list(CLIPS)
        assert all(sorted(systems) == list(SYSTEMS) for _, systems in order)
    assert {systems for order in orders.values() for _, systems in order} == {SYSTEMS, SYSTEMS[::-1]}


def test_a_stored_order_outlives_seed_and_folder(store):
    first = [("frog", ("combined", "mono")), ("dog", ("mono", "combined"))]
    assert store.order("anna", first) == first
    assert store.order("anna", first[::-1]) == first
    assert store.order("ben", first[::-1]) == first[::-1]
    grown = [("cat", ("new", "combined", "mono")), ("frog", ("new", "mono", "combined"))]
    assert store.order("anna", grown) == [("frog", ("combined", "mono", "new")), ("cat", ("new", "combined", "mono"))]


def test_an_answer_is_one_row_and_the_last_one_counts(store):
    store.put(Answer("anna", "dog", "combined", "belongs", "2"))
    store.put(Answer("anna", "dog", "combined", "belongs", "5"))
    store.put(Answer("ben", "dog", "combined", "side: dog on the left", "no"))
    with sqlite3.connect(store.path) as other:  # another process sees it while the store is open
        rows = other.execute(
            "SELECT rater, clip, system, question, answer, time FROM answers ORDER BY rater"
        ).fetchall()
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    assert [row[:5] for row in rows] == [
        ("anna", "dog", "combined", "belongs", "5"),
        ("ben", "dog", "combined", "side: dog on the left", "no"),
    ]
    assert all(row[5].endswith("+00:00") for row in rows)
    assert [each.answer for each in store.answers("anna")] == ["5"]


@pytest.mark.parametrize("change", ["answer = 'perhaps'", "answer = 7.5", "question = 'mood'", "clip = x'80'"])
def test_an_answer_that_somebody_else_wrote_is_named(change, store, tmp_path):
    store.put(Answer("anna", "dog", "combined", "belongs", "2"))
    with sqlite3.connect(tmp_path / FILE) as file:
        file.execute(f"UPDATE answers SET {change}")
    with pytest.raises(OptionError, match=r"Cannot read .*ratings.sqlite: the answer .* is none that the page gives"):
        store.answers()


def test_an_order_that_somebody_else_wrote_is_made_again(store, tmp_path):
    proposed = [("dog", ("combined", "mono"))]
    store.order("anna", proposed)
    for text in ("nonsense", "7", '[["mono"], 3]', "{}"):
        with sqlite3.connect(tmp_path / FILE) as file:
            file.execute("UPDATE orders SET systems = ?", (text,))
        assert store.order("anna", proposed) == proposed


def test_a_file_that_is_no_store_is_one_sentence(tmp_path):
    (tmp_path / FILE).write_text("these are not the answers you are looking for" * 99)
    with pytest.raises(OptionError, match="Cannot store answers in"):
        Store(tmp_path / FILE)


def read(trials, rater):
    return trials.read(rater, trials.start(rater))


def test_another_run_finds_the_answers(folder, store, tmp_path):
    before = Trials(read_study(folder), store, tmp_path, seed=3)
    key = read(before, "anna")[1].pictures[1].questions[0].key
    before.answer("anna", key, "4")
    again = read(Trials(read_study(folder), store, tmp_path, seed=9), "anna")  # another run, another seed
    given = [[picture.questions[0].answer for picture in trial.pictures] for trial in again]
    assert given == [[None, None], [None, "4"], [None, None]]
    clip, system, question = before.questions[key]
    stored = [(each.clip, each.system, each.question, each.answer) for each in store.answers()]
    assert stored == [(clip, system, question, "4")]
    assert again[1].pictures[1].path == folder / system / f"{clip}.png"


def test_open_trials_are_found_from_a_place_on(folder, store, tmp_path):
    trials = Trials(read_study(folder), store, tmp_path)
    for question in read(trials, "anna")[1].questions:
        trials.answer("anna", question.key, "cannot say")
    assert [find_open(read(trials, "anna"), start) for start in (0, 1, 2)] == [0, 2, 2]
    for place in (0, 2):
        for question in read(trials, "anna")[place].questions:
            trials.answer("anna", question.key, "cannot say")
    assert find_open(read(trials, "anna")) is None


def test_keys_and_copies_name_neither_clip_nor_system(folder, store, tmp_path):
    trials = Trials(read_study(folder), store, tmp_path)
    for trial in read(trials, "anna"):
        for path in (trial.sound, *(picture.path for picture in trial.pictures)):
            copy = trials.copy_blind(path)
            assert copy.read_bytes() == path.read_bytes() and copy == trials.copy_blind(path)
            assert re.fullmatch(r"[0-9a-f]{16}", copy.stem) and copy.suffix == path.suffix
        assert all(re.fullmatch(r"[0-9a-f]{16}", question.key) for question in trial.questions)
    trials.study.clips["dog"].unlink()
    other = Trials(trials.study, store, tmp_path)
    with pytest.raises(OptionError, match="Cannot read a sound or a picture") as caught:
        other.copy_blind(trials.study.clips["dog"])
    assert "dog" not in str(caught.value)


@pytest.mark.parametrize("name", [None, "", "   ", "x" * 41, "a\x00b", "\u202eanna"])
def test_a_rater_has_a_name(name):
    with pytest.raises(RequestError, match="Enter a name"):
        normalise_name(name)


def test_a_rater_has_one_spelling():
    assert normalise_name(" Anna\t B ") == normalise_name("ANNA b") == "anna b"
    assert normalise_name("Zoe\u0308") == normalise_name("ZO\u00cb")
