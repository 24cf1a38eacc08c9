"""Ctrl-C, a full memory and a full disk end every command with one line, and nothing is left half-written."""

import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from forks import run_forked
from PIL import Image
from typer.testing import CliRunner

from audiotoken import start
from audiotoken.cli.app import app
from audiotoken.errors import CheckpointError, OptionError
from audiotoken.loading import explain_load_errors
from audiotoken.stereo.films import write_film
from audiotoken.stereo.labelled_scene import Listening
from audiotoken.tasks.listening_files import ListeningFiles
from audiotoken.tasks.long_stems import LongStems
from audiotoken.writing import write_bytes, write_image
from spatial.scene import Direction, Scene, Source

RATE = 16_000
# command: (its arguments, what it runs)
COMMANDS = {
    "generate": (["clip.wav"], "audiotoken.tasks.generate.generate"),
    "generate a folder": (["clips"], "audiotoken.tasks.folder.draw_folder"),
    "listen": (["clip.wav", "--json", "-"], "audiotoken.tasks.listen.listen_to"),
    "place": (["clip.wav"], "audiotoken.tasks.place.place_file"),
    "layout": (["clip.wav"], "audiotoken.tasks.layout.sketch_layout"),
    "check": (["pairs/a.png", "clip.wav"], "audiotoken.tasks.check.check_pairs"),
    "animate": (["clip.wav"], "audiotoken.tasks.place.animate_file"),
    "assemble": (["--base", "a/b"], "audiotoken.assembly.assemble.assemble"),
    "prepare": (["--source", "pairs", "-o", "prepared"], "audiotoken.tasks.prepare.prepare"),
    "train": (["--data", "pairs", "-o", "run"], "audiotoken.tasks.train.train"),
    "rate": (["clips", "--table"], "audiotoken.rating.command.export"),
    "evaluate": (["-n", "2"], "audiotoken.evaluation.evaluate.evaluate"),
    "demo": (["--no-open"], "audiotoken.page.launch.open_page"),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "manifest.json").touch()
    soundfile.write(tmp_path / "pairs" / "a.wav", 0.3 * np.random.default_rng(0).normal(size=RATE), RATE)
    Image.new("RGB", (9, 9)).save(tmp_path / "pairs" / "a.png")
    soundfile.write(tmp_path / "clip.wav", 0.3 * np.random.default_rng(0).normal(size=(RATE, 2)), RATE)
    return tmp_path


def test_every_command_is_tried():
    assert {name.split()[0] for name in COMMANDS} == {each.callback.__name__ for each in app.registered_commands}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, start.STOPPED),
        (MemoryError(), 2, "Out of memory (no details): lower --count or --batch"),
        (torch.OutOfMemoryError("CUDA out of memory.\nTried 2 GiB"), 2, "Out of memory (CUDA out of memory.\\nTried"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), 2, "lower --count"),
    ],
)
def test_every_command_ends_with_one_line(name, error, code, said, here, monkeypatch):
    arguments, function = COMMANDS[name]

    def stop(*given, **options):
        raise error

    monkeypatch.setattr(function, stop)
    result = CliRunner().invoke(app, [name.split()[0], *arguments])
    assert result.exit_code == code and said in result.stderr, (result.output, result.exception)
    started = result.stderr.removeprefix("loading mini ...\n")  # the page says so at once
    assert started.count("\n") == 1 and "Traceback" not in started
    assert sorted(os.listdir(here)) == ["clip.wav", "clips", "pairs"] and not os.listdir(here / "clips")


def test_other_runtime_errors_are_bugs_and_keep_their_traceback(here, monkeypatch):
    def bug(*given, **options):
        raise RuntimeError("a bug")

    monkeypatch.setattr("audiotoken.tasks.listen.listen_to", bug)
    assert str(CliRunner().invoke(app, ["listen", "clip.wav"]).exception) == "a bug"


def test_an_interrupt_during_the_imports(monkeypatch, capsys):
    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr("audiotoken.cli.app.main", stop)
    with pytest.raises(SystemExit) as ended:
        start.main()
    assert ended.value.code == 130 and capsys.readouterr().err == start.STOPPED + "\n"


def test_an_interrupt_in_a_destructor_is_not_lost(monkeypatch, capsys):
    class Interrupted:
        def __del__(self):
            raise KeyboardInterrupt

    def work():
        Interrupted()
        for _ in range(6_000):  # it comes again between two of these
            time.sleep(0.01)
        pytest.fail("Ctrl-C was lost")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    monkeypatch.setattr("audiotoken.cli.app.main", work)
    hook = sys.unraisablehook
    try:
        with pytest.raises(SystemExit) as ended:
            start.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 130 and capsys.readouterr().err == start.STOPPED + "\n"
    assert sys.unraisablehook is hook


def test_a_full_memory_is_no_fault_of_the_model():
    with pytest.raises(torch.OutOfMemoryError), explain_load_errors("m"):
        raise torch.OutOfMemoryError("CUDA out of memory.")
    with pytest.raises(CheckpointError), explain_load_errors("m"):
        raise RuntimeError("size mismatch")


def heard() -> Listening:
    noise = (0.1 * np.random.default_rng(0).normal(size=(2, RATE))).astype(np.float32)
    scene = Scene((Source(noise[0], Direction(20.0), image=noise),), RATE, "xy")
    return Listening("clip.wav", 1.0, scene, (None,), np.zeros((2, 9, 2)))


FRAMES = [Image.new("RGB", (9, 9))] * 2
WRITERS = {
    "json": lambda folder: ListeningFiles(json=folder / "o.json").write(heard()),
    "plot": lambda folder: ListeningFiles(plot=folder / "o.png").write(heard()),
    "stems": lambda folder: ListeningFiles(stems=folder).write(heard()),
    "bytes": lambda folder: write_bytes(b"x", folder / "o"),
    "picture": lambda folder: write_image(Image.new("RGB", (9, 9)), folder / "o.webp"),
    "gif": lambda folder: write_film(
        [Image.new("RGB", (9, 9))] * 2, heard().scene.sources[0].image, RATE, folder / "o.gif"
    ),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("step", ["write", "replace"])
def test_a_full_disk_leaves_the_old_files(name, step, tmp_path, monkeypatch):
    before = {path: b"the old one" for path in ("o.json", "o.png", "o.webp", "o.gif", "o", "source1.wav")}
    for path, content in before.items():
        (tmp_path / path).write_bytes(content)

    def full(path, *given, **options):
        if step == "write":
            Path(path).open("wb").close()
        raise OSError(28, "No space left on device")

    if step == "replace":
        monkeypatch.setattr(os, "replace", full)
    else:
        monkeypatch.setattr(Path, "write_bytes", full)
        save = Image.Image.save
        to_memory = lambda image, path, *given, **options: (  # noqa: E731
            full(path) if isinstance(path, Path) else save(image, path, *given, **options)
        )
        monkeypatch.setattr(Image.Image, "save", to_memory)
    with pytest.raises(OptionError, match="No space left"):
        WRITERS[name](tmp_path)
    assert {path: (tmp_path / path).read_bytes() for path in os.listdir(tmp_path)} == before


def test_a_source_without_examples_is_one_sentence(here):
    result = CliRunner().invoke(app, ["prepare", "--source", "clips", "-o", "prepared"])
    assert result.exit_code == 2 and result.stderr.startswith("Found no pair in clips"), result.exception


@pytest.mark.parametrize("call", ["write", "close", "__init__"])
@pytest.mark.parametrize("error", [soundfile.LibsndfileError(2), AssertionError(), OSError(28, "No space left")])
def test_a_disk_that_fills_up_while_signals_are_written(call, error, tmp_path, monkeypatch):
    def full(*given, **options):
        raise error

    stems = LongStems(tmp_path, RATE, 0.1)
    if call != "__init__":
        stems.add(0.0, heard().scene, [0], True)
    with monkeypatch.context() as patch, pytest.raises(OptionError, match=r"Cannot write .*(disk is full|No space)"):
        patch.setattr(soundfile.SoundFile, call, full)
        stems.add(1.0, heard().scene, [0], False)
        stems.finish([0], 2 * RATE)
    stems.clear()
    assert os.listdir(tmp_path) == []


def test_an_output_folder_that_is_none(here):
    for arguments in (["--plot", "clip.wav/o.png"], ["--json", "clip.wav/o.json"], ["--stems", "clip.wav/stems"]):
        result = CliRunner().invoke(app, ["listen", "clip.wav", "--no-labels", *arguments])
        assert result.exit_code == 2 and result.stderr.startswith("Cannot write"), result.output
    assert sorted(os.listdir(here)) == ["clip.wav", "clips", "pairs"]


@contextmanager
def no_root(folder: Path):
    """As one whom nothing belongs to, as root may write everything; `folder` is given to them."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, 65534, -1)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_written(here):
    command = ["listen", "clip.wav", "--no-labels", "--plot"]
    assert CliRunner().invoke(app, [*command, "o.png"]).exit_code == 0  # all that it needs is imported now
    (here / "locked").mkdir(mode=0o555)
    with no_root(here):
        result = CliRunner().invoke(app, [*command, "locked/o.png"])
    assert result.exit_code == 2 and "Permission denied" in result.stderr


def interrupt_writing(arguments: list[str]) -> None:
    """In a child: the command, which gets SIGINT when its signals' first window is written."""
    add = LongStems.add

    def add_and_interrupt(stems: LongStems, *window: Any) -> None:
        add(stems, *window)
        temporary = sorted(path.name for path in stems.folder.iterdir())
        print(len(temporary), all(name.startswith(".") for name in temporary), flush=True)
        os.kill(os.getpid(), signal.SIGINT)

    LongStems.add = add_and_interrupt  # type: ignore[method-assign]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    sys.argv = ["audiotoken", *arguments]
    start.main()


@pytest.mark.slow
def test_a_real_interrupt_while_signals_are_written(here):
    """The signal comes from the writer itself after its first window, so the outcome does not hang on the speed."""
    noise = 0.3 * np.random.default_rng(0).normal(size=(32 * RATE, 1))  # longer than `LONG`
    soundfile.write(here / "long.wav", np.hstack([noise, 0.4 * noise]), RATE)
    arguments = ["listen", "long.wav", "--no-labels", "--setup", "panned", "--stems", "stems", "--plot", "o.png"]
    code, out, err = run_forked(interrupt_writing, arguments, folder=here)
    assert out == "1 True\n", err  # one source, in a temporary file
    assert code == 130 and err == start.STOPPED + "\n"
    assert os.listdir(here / "stems") == [] and not (here / "o.png").exists()
