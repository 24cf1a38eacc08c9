"""Names in any case, Unicode form, length and encoding; disks that are full while something is written."""

import json
import os
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from typer.testing import CliRunner

from audiotoken.audio import load_audio
from audiotoken.checkpoint import write_checkpoint
from audiotoken.cli.app import app
from audiotoken.data import PairFolder
from audiotoken.errors import OptionError
from audiotoken.evaluation.clips import find_picture
from audiotoken.loading import find_model
from audiotoken.manifest import match_names
from audiotoken.rating.study import read_study
from audiotoken.spelling import find_spelling
from audiotoken.tasks.check import find_pairs
from audiotoken.tasks.run_log import log_run
from audiotoken.tasks.sentences import errors_as_sentences
from audiotoken.writing import cannot_write, replace_file
from tests.fuzz.limits import files_at_most

NFC, NFD = (unicodedata.normalize(form, "Bär") for form in ("NFC", "NFD"))


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in (".wav", ".mp3"):
            with path.open("wb") as file:
                soundfile.write(file, 0.2 * np.sin(np.arange(8000) * [[0.3], [0.31]]).T, 16_000, format="WAV")
        else:
            Image.new("RGB", (32, 32), "red").save(path, "PNG")


@pytest.mark.parametrize("picture", ["a.JPG", "A.png", "a.Png", f"{NFD}.png", f"{NFD}.JPEG", f"{NFC}.png".upper()])
def test_a_picture_is_found_in_any_spelling(picture, tmp_path):
    sound = f"{NFC}.wav" if "R" in picture.upper().split(".")[0] else "a.wav"
    make(tmp_path, f"clips/{sound}", f"pictures/{picture}")
    assert find_picture(tmp_path / "pictures", sound).name == picture
    ((pair,), _) = find_pairs(tmp_path / "pictures", tmp_path / "clips")
    assert pair.picture.name == picture
    make(tmp_path, f"pairs/{sound}", f"pairs/{picture}")
    assert len(PairFolder(tmp_path / "pairs")) == 1
    make(tmp_path, f"study/clips/{sound}", f"study/one/{picture}")
    assert len(read_study(tmp_path / "study").pictures) == 1


def test_folders_in_another_form(tmp_path):
    make(tmp_path, f"pictures/{NFD}/a.png")
    assert find_picture(tmp_path / "pictures", f"{NFC}/A.wav").name == "a.png"


@pytest.mark.parametrize("given, there", [(NFC, NFD), (NFD, NFC)])
def test_what_a_command_reads_is_found_in_another_form(given, there, tmp_path):
    make(tmp_path, f"{there}/{there}.wav", f"{there}/{there}.png")
    for path in (tmp_path / given, tmp_path / there):
        assert load_audio(path / f"{given}.wav")[1] == 16_000
    said = CliRunner().invoke(app, ["listen", str(tmp_path / given / f"{given}.wav"), "--no-labels", "--json", "-"])
    assert said.exit_code == 0 and json.loads(said.stdout)["file"] == str(tmp_path / there / f"{there}.wav")
    (tmp_path / there / "model_index.json").write_text("{}")
    assert find_model(tmp_path / given) == str(tmp_path / there)


def test_a_path_is_kept_unless_exactly_one_is_meant(tmp_path):
    short, long = (unicodedata.normalize(form, "Bäär") for form in ("NFC", "NFD"))
    mixed = NFC[:2] + unicodedata.normalize("NFD", "ä") + "r"
    make(tmp_path, f"{short}.wav")
    assert find_spelling(tmp_path / f"{long}.wav") == tmp_path / f"{short}.wav"
    assert find_spelling(tmp_path / f"{long.upper()}.wav") == tmp_path / f"{long.upper()}.wav"
    assert find_spelling(tmp_path / "none" / long) == tmp_path / "none" / long
    make(tmp_path, f"{mixed}.wav")  # now either could be meant
    assert find_spelling(tmp_path / f"{long}.wav") == tmp_path / f"{long}.wav"
    assert find_spelling(tmp_path / f"{mixed}.wav") == tmp_path / f"{mixed}.wav"


def test_what_is_written_keeps_its_own_form(tmp_path):
    make(tmp_path, f"{NFD}.wav", f"{NFD}.png")
    before = (tmp_path / f"{NFD}.png").read_bytes()
    options = ["--no-labels", "--json", "-", "--plot", str(tmp_path / f"{NFC}.png")]
    assert CliRunner().invoke(app, ["listen", str(tmp_path / f"{NFC}.wav"), *options]).exit_code == 0
    assert (tmp_path / f"{NFC}.png").is_file() and (tmp_path / f"{NFD}.png").read_bytes() == before


def test_the_exact_name_comes_first():
    files = {name: Path(name) for name in ("a", "A", "b", "B", "C")}
    assert match_names(["a", "c", "d"], files) == {"a": Path("a"), "c": Path("C")}
    assert match_names(["A", "a"], files) == {"A": Path("A"), "a": Path("a")}
    assert match_names(["â"], {"x": Path("x")}) == {}


@pytest.mark.parametrize("length", [1, 200, 250])
def test_long_names_have_short_temporary_ones(length, tmp_path):
    path = tmp_path / f"{'ä' * (length // 2)}{'a' * (length % 2)}.png"
    with replace_file(path) as temporary:
        assert len(os.fsencode(temporary.name)) < 150
        temporary.write_bytes(b"x")
    assert path.read_bytes() == b"x"
    with replace_file(tmp_path / f"{'b' * 120}1.png") as one, replace_file(tmp_path / f"{'b' * 120}2.png") as two:
        assert one != two
        one.touch()
        two.touch()


def test_a_name_that_is_not_utf8(tmp_path):
    clip = tmp_path / os.fsdecode(b"a\xff.wav")
    make(tmp_path, "a.wav")
    os.rename(tmp_path / "a.wav", clip)
    out = tmp_path / "out.json"
    said = CliRunner().invoke(
        app, ["listen", str(clip), "--no-labels", "--json", str(out), "--plot", str(tmp_path / "plot.png")]
    )
    assert said.exit_code == 0, said.output
    assert json.loads(out.read_text())["file"] == str(clip) and (tmp_path / "plot.png").stat().st_size
    said = CliRunner().invoke(app, ["listen", str(clip), "--no-labels", "--json", "-"])
    assert said.exit_code == 0 and json.loads(said.stdout)["file"] == str(clip)


# disks


class Full(torch.nn.Module):
    """What torch.save says when the disk is full."""

    def __reduce__(self):
        raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0")


def test_a_full_disk_under_torch_is_an_oserror_and_keeps_the_old_file(tmp_path):
    write_checkpoint({"a": 1}, tmp_path / "a.pt")
    before = (tmp_path / "a.pt").read_bytes()
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint({"a": Full()}, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").read_bytes() == before and os.listdir(tmp_path) == ["a.pt"]


def test_settings_of_a_run_are_kept_where_new_ones_find_no_room(tmp_path):
    (tmp_path / "settings.json").write_text("old")
    accelerator = SimpleNamespace(is_main_process=True)
    with (
        files_at_most(5),
        pytest.raises(OptionError, match=r"settings\.json: File too large"),
        log_run(tmp_path, accelerator, {"steps": 1}, None),
    ):
        pass
    assert (tmp_path / "settings.json").read_text() == "old" and os.listdir(tmp_path) == ["settings.json"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(27, "File too large", "x.csv"),
        OSError(28, "No space left on device", "x.csv"),
        OSError(30, "Read-only file system", "x.csv"),
        RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"),
    ],
)
def test_any_writer_that_finds_no_room_ends_in_one_sentence(error, capsys):
    with pytest.raises(SystemExit) as ended, errors_as_sentences():
        raise error
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith("Cannot write") and said.count("\n") == 1


def test_other_errors_are_still_bugs():
    with pytest.raises(RuntimeError, match="shapes"), errors_as_sentences():
        raise RuntimeError("shapes differ")
    with pytest.raises(FileNotFoundError), errors_as_sentences():
        raise FileNotFoundError(2, "No such file or directory", "x")
    assert "choose a folder" in str(cannot_write(Path("x"), OSError(28, "No space left on device")))
