"""A folder of clips becomes a folder of pictures; what is there already is kept, what is broken is named."""

import csv
import json
import multiprocessing
import os
import tarfile

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.debug import debug_pipeline
from audiotoken.errors import OptionError, PromptError
from audiotoken.manifest import file_names, fingerprint, number_endings, read_manifest
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.tasks import clip_folder, folder_files
from audiotoken.tasks import folder as folder_module
from audiotoken.tasks.claims import Claims
from audiotoken.tasks.folder import draw_folder
from audiotoken.tasks.generate import generate

RATE = 16_000
CLIPS = {"a.wav": 400, "birds/b.wav": 900, "birds/deep/c.flac": 2100}  # Hz
STEPS = 2


def write(path, hertz: float, seconds: float = 0.5, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.2 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate), rate)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    debug_pipeline().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def clips(tmp_path):
    for name, hertz in CLIPS.items():
        write(tmp_path / "clips" / name, hertz)
    (tmp_path / "clips" / "notes.txt").write_text("not a sound, and nobody says so")
    return tmp_path / "clips"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "pictures"


@pytest.fixture(scope="module")
def loaded():
    """The model of each fingerprint."""
    return {}


@pytest.fixture
def draw(clips, out, model, loaded, monkeypatch):
    """What was loaded is not loaded again while its files are the same."""
    load = folder_module.load_pipeline

    def load_once(name, *options):
        key = (fingerprint(name), *options)
        if key not in loaded:
            loaded[key] = load(name, *options)
        return loaded[key]

    monkeypatch.setattr(folder_module, "load_pipeline", load_once)
    return lambda **options: draw_folder(clips, out, **{"model": model, "steps": STEPS} | options)


def files(folder) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def pixels(path):
    return np.asarray(Image.open(path), int)


BESIDE = ["gallery.png", "heard.csv", "made.jsonl"]
PICTURES = ["a.png", "birds/b.png", "birds/deep/c.png"]


def test_same_folders_same_names_same_pictures_as_one_by_one(draw, clips, out, model, tmp_path):
    drawn = draw(seed=5)
    assert drawn.made == list(CLIPS) and not drawn.kept and not drawn.broken
    assert files(out) == sorted(PICTURES + BESIDE)
    for clip, picture in zip(CLIPS, PICTURES, strict=True):
        generate(clips / clip, tmp_path / "one.png", model=model, steps=STEPS, seed=5)
        assert np.abs(pixels(tmp_path / "one.png") - pixels(out / picture)).max() <= 1, clip
    assert np.abs(pixels(out / "a.png") - pixels(out / "birds/b.png")).max() > 1  # the clips are told apart


def test_a_second_call_draws_and_loads_nothing(draw, out, monkeypatch):
    draw()
    before = {name: (out / name).stat().st_mtime_ns for name in PICTURES}
    monkeypatch.setattr(folder_module, "load_pipeline", None)
    (out / "birds/b.png").write_bytes(b"spoilt")
    os.utime(out / "birds/b.png", ns=(0, before["birds/b.png"]))
    drawn = draw()
    assert drawn.kept == list(CLIPS) and not drawn.made
    assert {name: (out / name).stat().st_mtime_ns for name in PICTURES} == before


def test_a_clip_that_is_still_broken_loads_no_model(draw, clips, monkeypatch):
    (clips / "empty.wav").touch()
    assert list(draw().broken) == ["empty.wav"]
    monkeypatch.setattr(folder_module, "load_pipeline", None)
    drawn = draw()
    assert list(drawn.broken) == ["empty.wav"] and len(drawn.kept) == 3


def test_changed_options_draw_again(draw):
    """One after the other, so that each differs from what was drawn before in itself alone."""
    draw()
    options = {}
    for change in ({"seed": 1}, {"prompt": "<audio> at night"}, {"steps": 1}, {"guidance_scale": 1.0}):
        options |= change
        assert draw(**options).made == list(CLIPS), change
    assert draw(**options, overwrite=True).made == list(CLIPS)
    assert draw(**options).kept == list(CLIPS)


def test_only_missing_or_changed_clips_are_drawn(draw, clips, out):
    draw()
    (out / "a.png").unlink()
    write(clips / "birds/b.wav", 333, 0.4)
    write(clips / "new.wav", 555)
    assert draw().made == ["a.wav", "birds/b.wav", "new.wav"]


def test_trained_further_the_model_draws_again(draw, model):
    draw()
    weights = f"{model}/audio_embedder/diffusion_pytorch_model.safetensors"
    os.utime(weights, (1, os.stat(weights).st_mtime + 10))
    assert draw().made == list(CLIPS)
    assert fingerprint("mini").startswith("mini of ") and fingerprint("some/hub-id") == "some/hub-id"


def test_an_interrupted_folder_has_no_partial_files_and_continues(draw, out, monkeypatch):
    save, saved = Image.Image.save, []

    def stop(image, path, **options):
        saved.append(path)
        if len(saved) == 2:
            path.write_bytes(b"half a pict")
            raise KeyboardInterrupt
        save(image, path, **options)

    monkeypatch.setattr(Image.Image, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        draw()
    assert files(out) == ["a.png", "made.jsonl"]
    monkeypatch.undo()
    drawn = draw()
    assert (drawn.kept, drawn.made) == (["a.wav"], ["birds/b.wav", "birds/deep/c.flac"])
    assert files(out) == sorted(PICTURES + BESIDE)


def test_a_line_that_was_cut_off_counts_for_nothing(draw, out):
    draw()
    lines = (out / "made.jsonl").read_text().splitlines()
    (out / "made.jsonl").write_text("\n".join(lines)[:-30])
    assert draw().made == ["birds/deep/c.flac"]
    assert set(read_manifest(out / "made.jsonl")) == set(CLIPS)
    assert draw().kept == list(CLIPS)


def test_broken_clips_are_named_and_the_rest_goes_on(clips, out, model):
    (clips / "birds/broken.mp3").write_bytes(b"no sound at all" * 50)
    (clips / "empty.wav").write_bytes(b"")
    options = ("--model", model, "--steps", "1", "--batch", "2", "-o", str(out))
    result = CliRunner().invoke(app, ["generate", str(clips), *options])
    assert result.exit_code == 1, result.output
    said = result.stderr.splitlines()
    assert len(said) == 2 and "birds/broken.mp3" in said[0] and "empty.wav" in said[1], said
    assert "drew   3 clips" in result.stdout and "broken 2 clips" in result.stdout
    assert files(out) == sorted(PICTURES + BESIDE)
    with (out / "heard.csv").open() as file:
        rows = {row["clip"]: row for row in csv.DictReader(file)}
    assert set(rows) == {*CLIPS, "birds/broken.mp3", "empty.wav"}
    assert rows["a.wav"]["picture"] == "a.png" and rows["a.wav"]["label 1"] in ("dog", "bell", "rain")
    assert 0 <= float(rows["a.wav"]["score 1"]) <= 1 and "empty.wav" in rows["empty.wav"]["problem"]


def test_the_summary_of_a_folder(clips, out, model):
    command = ["generate", str(clips), "--model", model, "--steps", "1", "-o", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0 and result.stderr == "", result.output
    assert CliRunner().invoke(app, command).stdout.startswith(f"drew   0 clips into {out}\nkept   3 clips from before")


def test_a_batch_draws_the_same_as_single_clips(draw, out):
    draw(count=2)
    names = [name for name in files(out) if name.endswith("-2.png")]
    assert names == ["a-2.png", "birds/b-2.png", "birds/deep/c-2.png"]
    singles = {name: pixels(out / name) for name in names}
    draw(count=2, batch=3, overwrite=True)
    for name in names:
        assert np.abs(pixels(out / name) - singles[name]).max() <= 1
    draw(seed=1)
    assert np.abs(pixels(out / "a.png") - singles["a-2.png"]).max() <= 1  # seed + 1


def test_no_clip_overwrites_another_s_picture(tmp_path):
    names = ["x/a.wav", "x/a.mp3", "x/A.flac", "x/b.wav", "x/b-1.wav", "gallery.wav", "y/a.wav", ".hidden/c.wav"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    drawn = file_names(tmp_path, reserved=("gallery.png",))
    assert drawn["x/a.wav"] == ["x/a.wav.png"] and drawn["x/a.mp3"] == ["x/a.mp3.png"]
    assert drawn["x/A.flac"] == ["x/A.flac.png"] and drawn["gallery.wav"] == ["gallery.wav.png"]
    assert drawn["x/b.wav"] == ["x/b.png"] and drawn["y/a.wav"] == ["y/a.png"] and ".hidden/c.wav" not in drawn
    (tmp_path / "x/a.wav.wav").touch()
    for count in (1, 3):
        every = [name.casefold() for names in file_names(tmp_path, number_endings(count)).values() for name in names]
        assert len(set(every)) == len(every) == count * 8


def test_the_manifest_says_how_each_was_drawn(draw, out, model):
    draw(seed=3, prompt="<audio>!")
    first = json.loads((out / "made.jsonl").read_text().splitlines()[0])
    assert {
        "clip": "a.wav",
        "files": ["a.png"],
        "prompt": "<audio>!",
        "seed": 3,
        "steps": STEPS,
    }.items() <= first.items()
    assert first["heard"][0][1] >= first["heard"][1][1]


def test_progress_counts_clips(draw):
    seen = []
    draw(on_progress=lambda done, total: seen.append((done, total)), batch=2)
    assert seen == [(1.0, 3), (2.0, 3), (2.5, 3), (3.0, 3)]


def test_rates_may_differ_within_a_batch(clips, draw):
    write(clips / "a.wav", 400, rate=44_100)
    assert len(draw(batch=3).made) == 3


def refused(arguments) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == 2 and result.stdout == "" and result.stderr.count("\n") == 1, result.output
    return result.stderr


def test_invalid_folder_options_are_one_sentence(tmp_path, clips, model):
    (tmp_path / "none").mkdir()
    assert "no sound in" in refused(["generate", tmp_path / "none"])
    with pytest.raises(OptionError, match="Got batch=0, expected a whole number from 1"):
        draw_folder(clips, batch=0)
    with pytest.raises(OptionError, match="Got token=loud, expected one of learned, label"):
        draw_folder(clips, token="loud")
    assert "expected one of .html" in refused(["generate", clips, "--report", "a.png"])
    assert "need a folder of clips" in refused(["generate", clips / "a.wav", "--overwrite"])
    (tmp_path / "file").touch()
    assert "choose another folder" in refused(["generate", clips, "-o", tmp_path / "file" / "x", "--model", model])
    assert "has no <audio>" in refused(["generate", clips, "--prompt", "a dog", "--model", model, "-o", tmp_path / "p"])
    with pytest.raises(OptionError, match="no folder"):
        draw_folder(tmp_path / "nowhere")


def test_a_full_disk_is_one_sentence(draw, out, monkeypatch):
    def full(image, path, **options):
        path.write_bytes(b"half a pict")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OptionError, match="No space left"):
        draw()
    assert files(out) == []


def test_a_model_without_ears_is_one_sentence(clips, out, tmp_path):
    parts = {name: part for name, part in debug_pipeline().components.items() if not name.startswith("audio")}
    AudioTokenPipeline(**parts).save_pretrained(tmp_path / "deaf")
    assert "cannot hear" in refused(["generate", clips, "--model", tmp_path / "deaf", "-o", out])


def test_two_processes_share_a_folder(tmp_path):
    """Started together, each clip is drawn by one of them, and both end with all pictures there."""
    model, clips = tmp_path / "model", tmp_path / "clips"
    debug_pipeline().save_pretrained(model)
    clips.mkdir()
    for i in range(8):
        soundfile.write(clips / f"{i}.wav", np.sin(np.arange(8000) * (0.05 + 0.03 * i)) / 3, 16_000)
    words = ["generate", str(clips), "-o", str(tmp_path / "out"), "--model", str(model)]
    words += ["--device", "cpu", "--steps", "3"]
    fork = multiprocessing.get_context("fork")  # of this process, which has imported everything
    both = [fork.Process(target=app, args=(words,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(300)
    assert [process.exitcode for process in both] == [0, 0]
    lines = (tmp_path / "out" / "made.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["clip"] for line in lines) == [f"{i}.wav" for i in range(8)]
    assert len(list((tmp_path / "out").glob("[0-7].png"))) == 8
    assert not list((tmp_path / "out").glob(".*"))


def test_a_clip_that_another_process_draws_is_waited_for(tmp_path):
    manifest = tmp_path / "made.jsonl"
    first, second = Claims(tmp_path, manifest), Claims(tmp_path, manifest)
    assert first.take("a.wav") and first.take("b.wav") and not second.take("a.wav") and second.take("c.wav")
    manifest.write_text('{"clip": "a.wav", "heard": []}\n{"clip": "b.w')
    first.release()
    assert second.take("a.wav", wait=True) and list(second.read_drawn()) == ["a.wav"]
    manifest.write_text('{"clip": "a.wav", "heard": []}\n{"clip": "b.wav"}\n')
    assert list(second.read_drawn()) == ["a.wav", "b.wav"]
    second.release()
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def shards(tmp_path, clips):
    """The same clips in two tar files, and beside them one that is a file, one that is broken, and a cut shard."""
    packed = tmp_path / "packed"
    packed.mkdir()
    for number, names in enumerate((["a.wav", "birds/b.wav"], ["birds/deep/c.flac"])):
        with tarfile.open(packed / f"{number:03}.tar", "w") as tar:
            for name in names:
                tar.add(clips / name, name)
            if number:
                tar.add(clips / "notes.txt", "d.wav")
                tar.add(clips / "a.wav", "../../out.wav")
    write(packed / "e.wav", 500)
    (packed / "cut.tar").write_bytes((packed / "000.tar").read_bytes()[:700])
    return packed


def test_clips_in_shards_are_drawn_as_if_they_were_files(draw, shards, clips, out, tmp_path, model):
    draw()
    told = []
    made = draw_folder(shards, tmp_path / "other", model=model, steps=STEPS, on_broken=told.append)
    assert sorted(made.made) == ["000.tar/a.wav", "000.tar/birds/b.wav", "001.tar/birds/deep/c.flac", "e.wav"]
    assert any("001.tar" in key for key in made.broken) and any("cut.tar" in key for key in made.broken)
    assert len(told) == len(made.broken) == 3 and not list(tmp_path.rglob("out.png"))
    for name in ("000/a.png", "000/birds/b.png", "001/birds/deep/c.png"):
        assert np.array_equal(pixels(tmp_path / "other" / name), pixels(out / name.split("/", 1)[1]))
    again = draw_folder(shards, tmp_path / "other", model=model, steps=STEPS)
    assert not again.made and sorted(again.kept) == sorted(made.made)
    with tarfile.open(shards / "000.tar", "a") as tar:
        tar.add(clips / "a.wav", "f.wav")
    os.utime(shards / "000.tar", (1, 1))
    assert "000.tar/f.wav" in draw_folder(shards, tmp_path / "other", model=model, steps=STEPS).made


def test_a_large_folder_is_looked_through_in_linear_time(tmp_path, monkeypatch):
    """Nothing is done for each clip that grows with their number; a look at all clips for each would be a million."""
    names = [f"{i:05}.wav" for i in range(1000)]
    (tmp_path / "clips").mkdir()
    for name in names:
        (tmp_path / "clips" / name).touch()
    monkeypatch.setattr(clip_folder, "is_up_to_date", lambda line, wanted, output: True)
    monkeypatch.setattr(clip_folder, "read_manifest", lambda file: {n: {"clip": n, "files": ["a"]} for n in names})
    monkeypatch.setattr(folder_files, "gallery", lambda lines, output: Image.new("RGB", (1, 1)))
    looks = 0

    class Name(str):
        def __hash__(self):
            nonlocal looks
            looks += 1
            return super().__hash__()

    known = clip_folder.file_names
    monkeypatch.setattr(
        clip_folder,
        "file_names",
        lambda *args, **options: {Name(k): v for k, v in known(*args, **options).items()},
    )
    result = draw_folder(tmp_path / "clips", tmp_path / "out")
    assert len(result.kept) == len(names) and looks < 20 * len(names)


# what a single clip's notes say, a folder's say too


def test_the_notes_about_clips_are_in_the_summary_and_in_the_manifest(draw, clips, out):
    (clips / "a.wav").write_bytes((clips / "a.wav").read_bytes() * 2)
    long = "word " * 90
    drawn = draw(prompt=f"a photo of <audio> and {long}", negative_prompt=f"{long}ugly", batch=2, count=2)
    notes = read_manifest(out / "made.jsonl")
    assert all("The prompt is longer" in str(line["notes"]) for line in notes.values()) and len(notes) == 3
    assert "2 recordings were joined" in str(notes["a.wav"]["notes"])
    lines = drawn.format_notes()
    assert lines[0].startswith("note   3 clips: The prompt is longer than the model reads")
    assert lines[1].startswith("note   3 clips: The negative prompt is longer")
    assert lines[2].startswith("note   a.wav: 2 recordings were joined") and len(lines) == 3


def test_a_summary_with_many_notes_is_short(tmp_path):
    result = clip_folder.FolderResult(tmp_path, notes={f"{i}.wav": ["Same.", f"Other {i}."] for i in range(9)})
    lines = result.format_notes()
    assert lines[0] == "note   9 clips: Same." and lines[1] == "note   0.wav: Other 0." and len(lines) == 6
    assert lines[-1] == f"note   5 more in {tmp_path / 'made.jsonl'}"


def test_a_prompt_for_two_sounds_is_refused_whatever_the_batch(draw):
    with pytest.raises(PromptError, match="2 <audio>"):
        draw(prompt="<audio> and <audio>", batch=2)


def test_rejected_pictures_are_those_of_their_clip(draw, out, monkeypatch):
    from tests.audiotoken.test_watching import with_checker

    draw()
    load = folder_module.load_pipeline
    monkeypatch.setattr(folder_module, "load_pipeline", lambda *given: with_checker(load(*given), {1, 2, 3}))
    drawn = draw(count=2, batch=2, overwrite=True)
    assert drawn.notes["a.wav"][0].startswith("Picture 2 is black")
    assert "safety checker rejected every picture" in drawn.broken["birds/b.wav"]
    assert not (out / "birds/b-1.png").exists()
