"""What is read from a folder to rate, in which order it is shown, and that every answer stays."""

import sqlite3

import pytest
from PIL import Image
from rate_folder import CLIPS, OBJECTS, SYSTEMS, rate_folder

from audiotoken.errors import OptionError
from audiotoken.rating.store import FILE, Answer, Store
from audiotoken.rating.study import choices, read_study
from audiotoken.rating.trials import RequestError, Trials, rater_name


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
    assert study.questions("frog") == ("belongs", *(f"side: {each}" for each in OBJECTS["frog"]))
    assert choices("belongs") == ("1", "2", "3", "4", "5", "cannot say")
    assert choices("side: frog on the left") == ("yes", "no", "cannot say")


def empty_clips(folder):
    for clip in (folder / "clips").iterdir():
        clip.unlink()


def spoil(picture):
    content = bytearray(picture.read_bytes())
    content[-20] ^= 1  # within the pixels: only their checksum tells
    picture.write_bytes(content)


BAD = {
    "Got no clips": empty_clips,
    "Got no picture of dog in": lambda folder: (folder / "combined" / "dog.png").unlink(),
    "Got no picture of bell and of 2 more in": lambda folder: (folder / "notes").mkdir(),
    "dog.wav as sound": lambda folder: (folder / "clips" / "dog.wav").write_text("no sound"),
    "dog.png as a picture": lambda folder: (folder / "mono" / "dog.png").write_text("<svg/>"),
    "frog.png as a picture": lambda folder: spoil(folder / "mono" / "frog.png"),
    "bell.png as a picture": lambda folder: Image.new("L", (8, 8)).save(folder / "mono" / "bell.png", "GIF"),
    "bell.png and bell.webp": lambda folder: (folder / "mono" / "bell.webp").write_text("twice"),
    "Cannot read": lambda folder: (folder / "objects.json").write_text("{"),
    "Got a list in": lambda folder: (folder / "objects.json").write_text("[]"),
    "Got 'cat' in": lambda folder: (folder / "objects.json").write_text('{"cat": []}'),
    "for 'dog' in": lambda folder: (folder / "objects.json").write_text('{"dog": "left"}'),
    "want up to": lambda folder: (folder / "objects.json").write_text('{"dog": ["left", " left"]}'),
}


@pytest.mark.parametrize("said", BAD)
def test_a_bad_folder_is_one_sentence(said, folder):
    BAD[said](folder)
    with pytest.raises(OptionError, match=said) as caught:
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


def test_a_file_that_is_no_store_is_one_sentence(tmp_path):
    (tmp_path / FILE).write_text("these are not the answers you are looking for" * 99)
    with pytest.raises(OptionError, match="Cannot keep answers in"):
        Store(tmp_path / FILE)


def test_who_comes_back_goes_on(folder, store):
    before = Trials(read_study(folder), store, seed=3)
    shown = before.start({"rater": " Anna  B"})
    picture = shown["trials"][1]["pictures"][1]["name"]
    before.answer({"rater": "anna b", "picture": picture, "question": "belongs", "answer": "4"})
    again = Trials(read_study(folder), store, seed=9).start({"rater": "ANNA B"})  # another run, another seed
    given = [[each["answers"] for each in trial["pictures"]] for trial in again["trials"]]
    assert given == [[{}, {}], [{}, {"belongs": "4"}], [{}, {}]]
    clip, system = before.pictures[picture]
    assert [(each.clip, each.system) for each in store.answers()] == [(clip, system)]


def test_nothing_shown_says_a_name(folder, store):
    shown = str(Trials(read_study(folder), store, seed=0).start({"rater": "anna"}))
    for name in (*SYSTEMS, *CLIPS):
        assert name not in shown.replace("frog on the left", "").replace("bell on the right", "")


@pytest.mark.parametrize("name", [None, "", "   ", "x" * 41, "a\x00b", 7, ["anna"], "\u202eanna"])
def test_a_rater_has_a_name(name):
    with pytest.raises(RequestError, match="Got no name"):
        rater_name(name)
