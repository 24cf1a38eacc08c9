"""The `audiotoken` command: what it writes, what it prints, and one sentence for every bad input."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from audiotoken.cli.app import app, main
from audiotoken.debug import debug_pipeline
from audiotoken.errors import OptionError
from audiotoken.tasks import generate as generate_module

RATE = 16_000
TONE = 0.2 * np.sin(2 * np.pi * 700 * np.arange(RATE) / RATE)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    debug_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def clip(tmp_path):
    soundfile.write(tmp_path / "tone.wav", TONE, RATE)
    return tmp_path / "tone.wav"


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def sentence(result) -> str:
    """The one line on stderr of a run that was refused."""
    assert result.exit_code == 2, result.output
    assert result.stdout == "" and result.stderr.count("\n") == 1 and "Traceback" not in result.stderr
    assert result.stderr.strip().endswith(".")
    return result.stderr


def usage_error(result) -> str:
    """The message of the parser for an option that it refused."""
    assert result.exit_code == 2, result.output
    assert result.stdout == "" and "Error: " in result.stderr and "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


def test_help_waits_for_nothing_heavy():
    code = """
import sys
from typer.testing import CliRunner
from audiotoken.cli.app import app
names = [each.callback.__name__ for each in app.registered_commands]
assert len(names) == 12
for command in ([], *([name] for name in names)):
    assert CliRunner().invoke(app, [*command, "-h"]).stdout == CliRunner().invoke(app, [*command, "--help"]).stdout
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0 and "--help" in result.stdout, result.output
heavy = {"torch", "diffusers", "transformers", "matplotlib", "scipy", "numpy", "PIL", "hydra"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version():
    result = run("--version")
    assert result.exit_code == 0 and result.stdout.startswith("audiotoken 0.")


def test_a_clip_becomes_a_picture(clip, model, tmp_path):
    out = tmp_path / "new" / "out.png"
    result = run("generate", clip, "--model", model, "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("heard  ") and f"drew   {out}" in result.stdout
    assert Image.open(out).size == (32, 32)
    assert os.listdir(out.parent) == ["out.png"]


def test_several_pictures_a_sheet_and_a_report(clip, model, tmp_path):
    folder = tmp_path / "pictures"
    options = ("--model", model, "--seed", 7, "--steps", 2, "--guidance-scale", 2, "--prompt", "<audio> at night")
    report = folder / "a-report.png"
    result = run("generate", clip, *options, "--count", 2, "--report", report, "-o", folder / "a.png")
    assert f"report {report}" in result.stdout
    assert result.exit_code == 0, result.output
    assert sorted(os.listdir(folder)) == ["a-1.png", "a-2.png", "a-report.png", "a.png"]
    assert Image.open(folder / "a.png").size == (32 + 4 + 32, 32)
    assert Image.open(folder / "a-report.png").width > 1000
    run("generate", clip, *options[:2], "--seed", 8, *options[4:], "-o", folder / "b.png")
    alone, second = (np.asarray(Image.open(folder / name), int) for name in ("b.png", "a-2.png"))
    assert np.abs(alone - second).max() <= 1  # the second of seed 7 is the first of seed 8


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_other_formats(clip, model, tmp_path, suffix):
    assert run("generate", clip, "--model", model, "--steps", 1, "-o", tmp_path / f"x{suffix}").exit_code == 0
    assert Image.open(tmp_path / f"x{suffix}").format == {".jpg": "JPEG", ".webp": "WEBP"}[suffix]


def _missing(path):
    pass


def _empty(path):
    path.write_bytes(b"")


def _truncated(path):
    soundfile.write(path, TONE, RATE)
    path.write_bytes(path.read_bytes()[:10_000])


def _silent(path):
    soundfile.write(path, 0 * TONE, RATE)


def _nan(path):
    soundfile.write(path, np.where(np.arange(RATE) == 99, np.nan, TONE), RATE, subtype="FLOAT")


def _zero_length(path):
    soundfile.write(path, TONE[:0], RATE)


def _not_audio(path):
    path.write_text("Roses are red.\n" * 100)


def _folder(path):
    path.mkdir()


def test_a_bad_clip_leaves_no_folder_behind(tmp_path):
    sentence(run("generate", tmp_path / "no.wav", "-o", tmp_path / "new" / "out.png"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["Hörner und 音.png", os.fsdecode(b"caf\xe9.png")], ids=["utf-8", "latin-1"])
def test_names_of_any_alphabet(name, clip, model, tmp_path, monkeypatch, capfd):
    folder = tmp_path / name.removesuffix(".png")
    folder.mkdir()
    sound = clip.rename(folder / "tone.wav")
    arguments = ("generate", sound, "--model", model, "--steps", 1, "--prompt", "<audio> für $5, 音 $")
    monkeypatch.setattr(
        "sys.argv",
        ["audiotoken", *map(str, arguments), "-o", str(folder / name), "--report", str(folder / f"report-{name}")],
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capfd.readouterr()
    assert stopped.value.code in (0, None), said.err
    assert "drew " in said.out and "Glyph" not in said.err
    assert (folder / name).is_file() and (folder / f"report-{name}").is_file()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_missing, "no such file"),
        (_empty, "empty"),
        (_truncated, "truncated"),
        (_silent, "silent"),
        (_nan, "NaN"),
        (_zero_length, "length is zero"),
        (_not_audio, "not a sound"),
        (_folder, "folder"),
    ],
)
def test_a_bad_clip_is_one_sentence(make, words, tmp_path):
    make(tmp_path / "clip.wav")
    before = os.listdir(tmp_path)
    assert words in sentence(run("generate", tmp_path / "clip.wav", "-o", tmp_path / "out.png"))
    assert os.listdir(tmp_path) == before


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("out.tiff", "expected one of .png"),
        ("out", "expected one of .png"),
        ("tone.wav/out.png", "choose another folder"),
        ("/proc/out.png", "choose a folder"),
        ("a" * 300 + ".png", "choose a folder"),
        ("here.png", "it is a folder"),
    ],
)
def test_a_bad_output_is_one_sentence(output, words, clip, tmp_path):
    (tmp_path / "here.png").mkdir()
    assert words in sentence(run("generate", clip, "-o", tmp_path / output))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "/no/such/model"), "no such folder"),
        (("--prompt", "a dog"), "has no <audio> but got 1 sound"),
        (("--prompt", "<audio> and <audio>"), "has 2 <audio> but got 1 sound"),
        (("--prompt", "x " * 90 + "<audio>"), "only 77 tokens"),
        (("--negative-prompt", "<audio>"), "negative prompt contains <audio>"),
        (("--device", "toaster"), "no device toaster"),
        (("--device", "cuda:77"), "no device cuda:77"),
        (("--report", "report.pdf"), "expected one of .png"),
        (("--batch", 2), "need a folder of clips"),
    ],
)
def test_a_bad_option_is_one_sentence(options, words, clip, model, tmp_path):
    if "--model" not in options:
        options = ("--model", model, *options)
    assert words in sentence(run("generate", clip, *options, "-o", tmp_path / "out.png"))
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--dtype", "int8"), "'int8' is not one of 'float32', 'bfloat16', 'float16'"),
        (("--token", "word"), "'word' is not one of 'learned', 'label'"),
        (("--count", 0), "Invalid value for '--count'"),
        (("--steps", 0), "Invalid value for '--steps'"),
        (("--seed", -1), "Invalid value for '--seed'"),
        (("--seed", 10**30), "Invalid value for '--seed'"),
        (("--guidance-scale", 101), "Invalid value for '--guidance-scale'"),
        (("--guidance-scale", "nan"), "Invalid value for '--guidance-scale'"),
        (("--report",), "requires an argument"),
    ],
)
def test_a_wrong_choice_or_number_is_refused_by_the_parser(options, words, clip, tmp_path):
    assert words in usage_error(run("generate", clip, "-o", tmp_path / "out.png", *options))
    assert not (tmp_path / "out.png").exists()


def test_not_a_number_is_refused_by_the_task_too(clip):
    with pytest.raises(OptionError, match="guidance_scale=nan, expected a number from 0 to 100"):
        generate_module.generate(clip, guidance_scale=float("nan"))


def test_a_report_can_be_a_page(clip, model, tmp_path):
    report = tmp_path / "report.html"
    result = run("generate", clip, "--model", model, "--steps", 1, "-o", tmp_path / "out.png", "--report", report)
    assert result.exit_code == 0, result.output
    assert "guidance scale" in report.read_text() and "a photo of" in report.read_text()


def test_quiet_prints_no_notes(clip, model, tmp_path, monkeypatch):
    def load_with_note(*arguments):
        return np.asarray(TONE, np.float32)[None], RATE, ["A note."]

    monkeypatch.setattr(generate_module, "load_beginning", load_with_note)
    options = ("--model", model, "--steps", 1, "-o", tmp_path / "out.png")
    assert "note   A note." in run("generate", clip, *options).stdout
    quiet = run("generate", clip, *options, "-q")
    assert quiet.exit_code == 0 and "A note." not in quiet.output and "drew" in quiet.stdout


def test_verbose_adds_a_traceback(tmp_path, monkeypatch):
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY", raising=False)
    monkeypatch.delenv("DIFFUSERS_VERBOSITY", raising=False)
    result = run("generate", tmp_path / "no.wav", "-v")
    assert result.exit_code == 2 and result.stderr.startswith("Traceback")
    assert "there is no such file" in result.stderr.splitlines()[-1]
    assert os.environ["TRANSFORMERS_VERBOSITY"] == os.environ["DIFFUSERS_VERBOSITY"] == "info"


def test_a_model_without_ears_is_one_sentence(clip, model, tmp_path):
    parts = {name: part for name, part in debug_pipeline().components.items() if not name.startswith("audio")}
    from audiotoken.pipeline import AudioTokenPipeline

    AudioTokenPipeline(**parts).save_pretrained(tmp_path / "deaf")
    assert "no audio_encoder" in sentence(
        run("generate", clip, "--model", tmp_path / "deaf", "-o", tmp_path / "out.png")
    )


def test_an_interrupt_keeps_the_old_picture(clip, model, tmp_path, monkeypatch):
    out = tmp_path / "out.png"
    out.write_bytes(b"the old one")

    def stop(image, path, **options):
        path.write_bytes(b"half a pict")
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", stop)
    result = run("generate", clip, "--model", model, "--steps", 1, "-o", out)
    assert result.exit_code != 0 and "Traceback" not in result.output
    assert out.read_bytes() == b"the old one" and sorted(os.listdir(tmp_path)) == ["out.png", "tone.wav"]


def test_a_full_disk_is_one_sentence(clip, model, tmp_path, monkeypatch):
    def full(image, path, **options):
        path.write_bytes(b"half a pict")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    said = sentence(run("generate", clip, "--model", model, "--steps", 1, "-o", tmp_path / "out.png"))
    assert "No space left" in said and os.listdir(tmp_path) == ["tone.wav"]


def test_a_bug_keeps_its_traceback(clip, model, tmp_path, monkeypatch):
    def bug(*arguments):
        raise ValueError("a bug")

    monkeypatch.setattr(generate_module, "load_pipeline", bug)
    result = run("generate", clip, "--model", model, "-o", tmp_path / "out.png")
    assert result.exit_code == 1 and str(result.exception) == "a bug"
