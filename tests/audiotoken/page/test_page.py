"""What the page of `audiotoken demo` does, without a browser and without Gradio."""

import time
from dataclasses import replace
from pathlib import Path
from threading import Event, active_count
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from transformers import CLIPTokenizer

from audiotoken import mini
from audiotoken.debug import debug_pipeline
from audiotoken.errors import AudioError, OptionError
from audiotoken.page import edits, files, jobs, panning, uploads, view
from audiotoken.page.background import PREVIEW_SIDE, Cancelled, Progress, decode_preview, run_in_background
from audiotoken.page.edits import ANYWHERE, OUT, OWN, PLACED, Placement
from audiotoken.page.examples import EXAMPLES, RATE, load_example, write_sound
from audiotoken.page.panning import Comparison
from audiotoken.page.session import MAX_PAGES, Session, Sessions
from audiotoken.stereo.planning import Plan
from audiotoken.stereo.planning import plan as make_plan
from audiotoken.stereo.words import Word, match_words
from spatial.scene import Direction, Scene, Source
from spatial.shapes import find_shape

MINI = Path(mini.__file__).parent
TONES = {"dog": 700.0, "bell": 2100.0, "frog": 300.0}
OPTIONS = {
    "negative_prompt": None,
    "seed": 5,
    "num_inference_steps": 3,
    "guidance_scale": 3.0,
    "energy": "combined",
    "fov": 90.0,
}


@pytest.fixture(scope="module")
def pipe():
    return debug_pipeline()


def tone(hertz, seconds=0.5):
    return (0.2 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def heard(*azimuths, setup="ortf", words=(), similarity=None, **source):
    """A plan as `pipeline.plan` makes it, whose truth is known: a dog, a bell, a frog from there."""
    names = list(TONES)[: len(azimuths)]
    signals = [tone(TONES[name]) for name in names]
    found = [
        Source(signal, Direction(azimuth, 3.0, 0.9), -20.0 - 5 * i, active=((0.0, 0.5),), **source)
        for i, (signal, azimuth) in enumerate(zip(signals, azimuths, strict=True))
    ]
    scores = np.zeros((len(found), len(words))) if similarity is None else np.array(similarity, float)
    return Plan(
        recording=np.stack([sum(signals), 0.5 * sum(signals)]).astype(np.float32),
        rate=RATE,
        scene=Scene(tuple(found), RATE, setup),
        heard=[[(name, 0.9), ("wave", 0.1)] for name in names],
        known=[True] * len(found),
        words=[Word(word, 0) for word in words],
        similarity=scores,
        matches=match_words(scores) if len(words) else [],
        prompt=None,
        regions={},
        notes=[],
        seconds={},
    )


def centre(box):
    return (box[0] + box[2]) / 2


# -- uploads


def test_long_upload_is_cut_with_a_note(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_SECONDS", 0.25)
    path = write_sound(np.stack([tone(440), tone(550)]), RATE, tmp_path / "long.wav")
    recording, rate, notes = uploads.read_upload(path)
    assert recording.shape == (2, round(0.25 * RATE)) and rate == RATE
    assert len(notes) == 1 and "0.25 seconds" in notes[0]
    assert uploads.read_upload(write_sound(tone(440, 0.2), RATE, tmp_path / "short.wav"))[2] == []


def test_error_of_upload_names_file_without_folder(tmp_path):
    broken = tmp_path / "notes.wav"
    broken.write_bytes(b"RIFF no sound at all" * 40)
    with pytest.raises(AudioError, match=r"Cannot read notes\.wav: .*; give") as error:
        uploads.read_upload(broken)
    assert str(tmp_path) not in str(error.value)


def test_large_upload_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_MEGABYTES", 0)
    path = write_sound(tone(440), RATE, tmp_path / "large.wav")
    with pytest.raises(AudioError, match=r"^Cannot read large\.wav: it is larger than 0 MB"):
        uploads.read_upload(path)


# -- what a person changes


def test_default_placements_change_nothing():
    planned = heard(-31.0, 17.0)
    places = edits.default_placements(planned)
    assert [place.azimuth for place in places] == [-31.0, 17.0] and {place.mode for place in places} == {PLACED}
    for source, place in zip(planned.scene.sources, places, strict=True):
        same = edits.move_source(source, place, place)
        assert (same.direction, same.level, same.path) == (source.direction, source.level, source.path)
    assert edits.describe_changes(planned, places) == []


def test_unknown_sounds_are_out_unless_all_are():
    mixed = replace(heard(-30.0, 0.0, 30.0), known=[True, False, True])
    assert [each.mode for each in edits.default_placements(mixed)] == [PLACED, OUT, PLACED]
    strange = replace(mixed, known=[False] * 3)
    assert [each.mode for each in edits.default_placements(strange)] == [PLACED] * 3


def test_source_moved_to_other_side_is_drawn_there():
    planned = heard(-31.0, 17.0)
    dog, bell = edits.default_placements(planned)
    there = edits.compute_boxes(planned, [replace(dog, azimuth=31.0), replace(bell, mode=OUT)], 90.0)
    before = edits.compute_boxes(planned, [dog, replace(bell, mode=OUT)], 90.0)
    assert list(there) == [0] and centre(there[0]) == pytest.approx(1 - centre(before[0]))
    assert centre(before[0]) < 0.4
    assert edits.describe_changes(planned, [replace(dog, azimuth=31.0), bell]) == [
        "By hand: the dog was moved from 31° left to 31° right."
    ]


@pytest.mark.parametrize("size", [0.3, 0.5])
def test_box_has_the_chosen_size(size):
    planned = heard(12.0)
    (place,) = edits.default_placements(planned)
    x0, y0, x1, y1 = edits.compute_boxes(planned, [replace(place, size=size)], 90.0)[0]
    shape = find_shape(planned.subjects[0])
    assert (y1 - y0) * (x1 - x0) == pytest.approx(size**2) and (x1 - x0) / (y1 - y0) == pytest.approx(shape.aspect)


def test_path_moves_with_its_source():
    planned = heard(-10.0, path=((0.0, -40.0), (0.5, 20.0)))
    (place,) = edits.default_placements(planned)
    source = edits.move_source(planned.scene.sources[0], place, replace(place, azimuth=5.0))
    assert source.path == ((0.0, -25.0), (0.5, 35.0))


def test_diffuse_source_has_a_box_only_by_hand():
    planned = heard(4.0)
    wide = replace(planned.scene.sources[0], direction=Direction(4.0, 60.0, 0.9))
    planned = replace(planned, scene=replace(planned.scene, sources=(wide,)))
    (place,) = edits.default_placements(planned)
    assert place.mode == ANYWHERE and edits.compute_boxes(planned, [place], 90.0) == {}
    x0, _, x1, _ = edits.compute_boxes(planned, [replace(place, mode=PLACED)], 90.0)[0]
    assert x1 - x0 < 0.8


def test_mono_source_has_a_box_only_by_hand():
    planned = heard(0.0, setup="mono")
    (place,) = edits.default_placements(planned)
    assert place.mode == ANYWHERE
    assert centre(edits.compute_boxes(planned, [replace(place, mode=PLACED, azimuth=30.0)], 90.0)[0]) > 0.6


def test_source_left_out_has_no_token_and_no_box(pipe):
    planned = heard(-31.0, 2.0, 29.0)
    places = edits.default_placements(planned)
    places[1] = replace(places[1], mode=OUT)
    drawn = edits.apply_edits(planned, pipe, places, prompt="", token="learned")
    assert drawn.prompt.text == "a photo of <audio> and <audio>"
    assert sorted(drawn.regions) == [0, 2]
    assert drawn.regions[0].positions == drawn.prompt.positions[0]
    assert drawn.regions[2].positions == drawn.prompt.positions[1]
    assert "By hand: the bell was left out." in drawn.notes


def test_nothing_to_draw_is_an_error(pipe):
    planned = heard(-31.0)
    places = [replace(place, mode=OUT) for place in edits.default_placements(planned)]
    with pytest.raises(OptionError, match="Every sound is left out"):
        edits.apply_edits(planned, pipe, places, prompt="")
    assert edits.apply_edits(planned, pipe, places, prompt="a lake").regions == {}


def test_word_chosen_by_hand_wins(pipe):
    planned = heard(-31.0, 17.0, words=("dog", "bell"), similarity=[[0.9, 0.1], [0.1, 0.9]])
    dog, bell = edits.default_placements(planned)
    pairs = {pair.source: pair.token for pair in edits.apply_word_choices(planned, [replace(dog, word="1"), bell])}
    assert pairs[0] == 1 and pairs[1] is None
    drawn = edits.apply_edits(
        planned, pipe, [replace(dog, word="1"), replace(bell, word="0")], prompt="a photo of a dog and a bell"
    )
    asked = edits.apply_edits(planned, pipe, [dog, bell], prompt="a photo of a dog and a bell")
    assert drawn.regions[0].positions == asked.regions[1].positions != asked.regions[0].positions
    assert centre(drawn.regions[0].box) < 0.5 < centre(drawn.regions[1].box)


def test_words_that_are_not_read_are_told(pipe):
    planned = heard(-31.0, words=("dog",), similarity=[[0.9]])
    places = edits.default_placements(planned)
    drawn = edits.apply_edits(planned, pipe, places, prompt=f"a dog and {'word ' * 90}")
    assert "longer than the model reads" in drawn.notes[-1]
    again = edits.apply_edits(planned, pipe, places, prompt="a dog")
    assert "longer" not in str(again.notes)


def test_source_can_be_drawn_as_its_own_sound(pipe):
    planned = heard(-31.0, words=("dog",), similarity=[[0.9]])
    (dog,) = edits.default_placements(planned)
    drawn = edits.apply_edits(planned, pipe, [replace(dog, word=OWN)], prompt="a dog")
    assert drawn.prompt.text == "a dog and <audio>" and drawn.regions[0].positions == drawn.prompt.positions[0]


@pytest.mark.parametrize(
    ("words", "said"), [(("0", "0"), 'Got "dog" for more than one sound'), (("7", "auto"), "no longer in the prompt")]
)
def test_invalid_word_choices_are_errors(words, said):
    planned = heard(-31.0, 17.0, words=("dog", "bell"))
    places = [replace(place, word=word) for place, word in zip(edits.default_placements(planned), words, strict=True)]
    with pytest.raises(OptionError, match=said):
        edits.apply_word_choices(planned, places)


@pytest.mark.parametrize("wrong", [{"azimuth": 91.0}, {"azimuth": float("nan")}, {"size": 0.0}, {"mode": "gone"}])
def test_invalid_placements_are_errors(wrong):
    with pytest.raises(OptionError, match="expected"):
        Placement(**{"azimuth": 0.0, "size": 0.5} | wrong)


# -- what the page is told


def test_unchanged_values_from_the_page_change_nothing():
    planned = heard(-31.456789, 17.0)
    places = edits.default_placements(planned)
    sent = view.scene_state(planned, places, 90.0)
    assert view.read_placements(sent, planned, places) == places
    sent["sources"][1] |= {"azimuth": 20, "mode": "anywhere"}
    assert view.read_placements(sent, planned, places)[1] == replace(places[1], azimuth=20.0, mode=ANYWHERE)


@pytest.mark.parametrize(
    "value", [None, "x", {}, {"sources": 3}, {"sources": [{}]}, {"sources": [{}, {"azimuth": None}]}]
)
def test_invalid_values_from_the_page_change_nothing(value):
    planned = heard(-31.0, 17.0)
    places = edits.default_placements(planned)
    assert view.read_placements(value, planned, places) == places


def test_waveform_has_the_peaks_of_its_channels():
    wave = view.waveform_state(heard(-31.0))
    left, right = (
        max(abs(float(point.split(",")[1])) for point in path.strip("MZ").split()) for path in wave["channels"]
    )
    assert left == pytest.approx(1.0, abs=0.01) and right == pytest.approx(0.5, abs=0.01)
    assert wave["sources"][0]["spans"] == [[0.0, 0.5]] and wave["seconds"] == pytest.approx(0.5)


# -- listening


def test_cancelled_listening_leaves_no_plan(pipe, tmp_path, monkeypatch):
    session = Session(tmp_path)
    path = write_sound(np.stack([tone(440), 0.5 * tone(440)]), RATE, tmp_path / "clip.wav")
    shares = []

    def plan(*recording, progress, **options):
        for share in (0.4, 0.6, 1.0):
            shares.append(share)
            session.stop.set()
            progress(share)

    monkeypatch.setattr(jobs, "plan", plan)
    with pytest.raises(Cancelled):
        jobs.listen_to_file(session, pipe, str(path))
    assert shares == [0.4] and session.plan is None and session.placements == []


def test_listening_says_how_much_is_heard(pipe, tmp_path, monkeypatch):
    path, shares = write_sound(np.stack([tone(440), 0.5 * tone(440)]), RATE, tmp_path / "clip.wav"), []

    def plan(*recording, progress, **options):
        progress(0.4)
        return heard(-31.0)

    monkeypatch.setattr(jobs, "plan", plan)
    jobs.listen_to_file(Session(tmp_path), pipe, str(path), on_share=shares.append)
    assert shares == [0.0, 0.4, 1.0]


def test_plan_reports_its_progress(pipe):
    shares = []
    recording = panning.mix_voices([replace(panning.synthesise_voice("dog"), azimuth=-30.0)], "panned")[:, :RATE]
    make_plan(recording, RATE, pipe, progress=shares.append)
    assert len(shares) >= 2 and shares == sorted(shares) and shares[-1] == 1.0


# -- painting


def test_progress_with_previews_then_the_result(pipe, tmp_path):
    session = Session(tmp_path, plan=heard(-31.0, 17.0))
    session.placements = edits.default_placements(session.plan)
    said = list(jobs.generate_picture(session, pipe, "", OPTIONS | {"token": None}))
    steps = [each for each in said if isinstance(each, Progress)]
    assert steps[-1].done == steps[-1].steps == 3 and steps[-1].seconds_left == 0
    assert [each.done for each in steps] == sorted(each.done for each in steps)
    assert said[-1] is session.result and session.result.seed == 5
    assert session.previews[-1] is session.result.images[0] and any(step.preview for step in steps)


def test_comparison_has_the_same_noise(pipe, tmp_path):
    session = Session(tmp_path, plan=heard(-31.0, 17.0))
    session.placements = edits.default_placements(session.plan)
    list(jobs.generate_picture(session, pipe, "", OPTIONS | {"token": None, "energy": "none"}))
    list(jobs.generate_comparison(session, pipe, OPTIONS))
    assert session.unguided.tobytes() == session.result.images[0].tobytes()


def test_film_follows_the_moving_source(pipe, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "FRAMES", 3)
    session = Session(tmp_path, plan=heard(0.0, path=((0.0, -35.0), (0.5, 35.0))))
    session.placements = edits.default_placements(session.plan)
    with pytest.raises(OptionError, match="no picture yet"):
        list(jobs.generate_film(session, pipe, OPTIONS))
    list(jobs.generate_picture(session, pipe, "", OPTIONS | {"token": None}))
    *steps, film = jobs.generate_film(session, pipe, OPTIONS)
    middles = [centre(row[0].box) for row in film.frames]
    assert len(film.images) == 3 and middles == sorted(middles) and middles[0] < 0.4 < 0.6 < middles[-1]
    assert steps[-1].done == steps[-1].steps == 3
    gif, mp4 = files.write_films(film, tmp_path)
    assert Image.open(gif).n_frames == 3 and mp4.stat().st_size > 1000


def test_cancelled_generation_leaves_no_result(pipe, tmp_path):
    session = Session(tmp_path, plan=heard(-31.0))
    session.placements = edits.default_placements(session.plan)
    painting = jobs.generate_picture(session, pipe, "", OPTIONS | {"token": None, "num_inference_steps": 500})
    next(painting)
    session.stop.set()
    with pytest.raises(Cancelled):
        list(painting)
    assert session.result is None


def test_cancelled_generation_keeps_the_last_result(pipe, tmp_path):
    session = Session(tmp_path, plan=heard(-31.0))
    session.placements = edits.default_placements(session.plan)
    list(jobs.generate_picture(session, pipe, "", OPTIONS | {"token": None}))
    last, previews = session.result, session.previews
    painting = jobs.generate_picture(session, pipe, "", OPTIONS | {"token": None, "num_inference_steps": 500})
    next(painting)
    session.stop.set()
    with pytest.raises(Cancelled):
        list(painting)
    assert session.result is last and session.previews is previews and session.edited_plan is not None


def test_closing_the_iterator_stops_the_work():
    stop, threads = Event(), active_count()

    def work(monitor):
        while True:
            monitor.on_step(1, 10)
            time.sleep(0.005)

    running = run_in_background(work, stop)
    next(running)
    assert active_count() == threads + 1
    running.close()
    assert stop.is_set() and active_count() == threads


def test_error_in_the_thread_is_raised_in_the_caller():
    def work(monitor):
        raise OptionError("Got nothing, expected something; do it.")

    with pytest.raises(OptionError, match="expected something"):
        list(run_in_background(work, Event()))


@pytest.mark.parametrize("side", [8, 4 * PREVIEW_SIDE])
def test_preview_is_small_for_every_model(pipe, side):
    channels = pipe.unet.config.in_channels
    seen = decode_preview(pipe, 9 * torch.randn(2, channels, side, side))
    assert seen.width == min(side, PREVIEW_SIDE) * pipe.vae_scale_factor
    assert np.asarray(seen).std() > 0


def test_gif_shows_the_result_longest(tmp_path):
    pictures = [Image.new("RGB", (32, 32), (60 * i, 10, 10)) for i in range(4)]
    gif = Image.open(files.write_steps(pictures, tmp_path))
    assert gif.n_frames == 4 and gif.size == (files.SIDE, files.SIDE)
    gif.seek(3)
    assert gif.info["duration"] == files.LAST_MS and abs(gif.convert("RGB").getpixel((9, 9))[0] - 180) < 8


def test_invalid_options_are_errors(pipe, tmp_path):
    session = Session(tmp_path)
    with pytest.raises(OptionError, match="There is no sound yet"):
        list(jobs.generate_picture(session, pipe, "", OPTIONS | {"token": None}))
    with pytest.raises(OptionError, match="Got steps=0"):
        list(jobs.generate_picture(session, pipe, "", OPTIONS | {"token": None, "num_inference_steps": 0}))


# -- sessions


def test_files_of_a_page_are_deleted_with_it(tmp_path):
    sessions = Sessions(tmp_path)
    upload = write_sound(tone(440), RATE, tmp_path / "gradio" / "clip.wav")
    one, two = sessions.get("one"), sessions.get("two")
    assert sessions.get("one") is one is not two
    one.replace_upload("clip", upload)
    files.write_steps([Image.new("RGB", (8, 8))], one.folder)
    sessions.close("one")
    assert not one.folder.exists() and not upload.exists() and two.folder.exists()
    assert one.stop.is_set() and not two.stop.is_set()


def test_cancel_drops_waiting_jobs_but_not_later_ones(tmp_path):
    session = Session(tmp_path)
    session.waiting = 2
    assert session.cancel_jobs() and not session.busy
    session.waiting += 1
    assert [session.try_begin() for _ in range(3)] == [False, False, True]
    assert session.running and not session.stop.is_set()
    assert not session.cancel_jobs() and session.stop.is_set()


def test_uploads_outside_the_folder_are_not_deleted(tmp_path):
    mine = write_sound(tone(440), RATE, tmp_path / "mine.wav")
    (tmp_path / "page").mkdir()
    session = Sessions(tmp_path / "page").get("one")
    session.replace_upload("clip", mine)
    session.replace_upload("clip", None)
    assert mine.exists()


def test_oldest_of_too_many_pages_is_closed(tmp_path):
    sessions = Sessions(tmp_path)
    opened = [sessions.get(str(number)) for number in range(MAX_PAGES + 1)]
    assert not opened[0].folder.exists() and all(each.folder.exists() for each in opened[1:])


# -- panner and examples


def test_mix_has_each_voice_on_its_side():
    dog = replace(panning.synthesise_voice("dog"), azimuth=-45.0)
    bell = replace(panning.synthesise_voice("bell"), azimuth=80.0)
    left, right = panning.mix_voices([dog, bell], "panned")
    alike = lambda channel, voice: abs(np.corrcoef(channel[: len(voice.signal)], voice.signal)[0, 1])  # noqa: E731
    assert alike(left, dog) > 0.99 > 0.1 > alike(right, dog)
    assert alike(right, bell) > 0.99 > 0.1 > alike(left, bell)
    quiet = panning.mix_voices([dog, replace(bell, level=-20.0)], "panned")
    assert np.std(quiet[1]) / np.std(right) == pytest.approx(0.1, rel=0.02)


def test_heard_sources_are_assigned_to_the_nearest_voices():
    sides = (("clock", 20.0), ("frog", -90.0))
    voices = [replace(panning.synthesise_voice(word), azimuth=side) for word, side in sides]
    assert panning.compare_directions(voices, 45.0, heard(-40.0, 23.0)) == [
        Comparison("clock", 20.0, "bell", 23.0),
        Comparison("frog", -45.0, "dog", -40.0),
    ]
    assert panning.compare_directions(voices, 45.0, heard(19.0))[1] == Comparison("frog", -45.0)


def test_stereo_file_is_one_voice_of_the_panner(tmp_path):
    path = tmp_path / "two.wav"
    soundfile.write(path, np.stack([tone(440), 0 * tone(440)]).T, RATE * 2)
    voice = panning.load_voice(str(path))
    assert voice.name == "two" and voice.signal.ndim == 1
    assert len(voice.signal) == pytest.approx(RATE / 4, abs=2)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "Frog and bell"])
def test_examples_have_the_channels_in_their_names(name):
    recording = load_example(name)
    assert len(recording) == (1 if "mono" in name else 2) and 0.02 < np.abs(recording).max() <= 1


# -- names given by hand


def test_a_name_given_by_hand_is_drawn_where_its_sound_is_heard(pipe):
    planned = replace(heard(-31.0, 17.0), known=[False, True])
    dog, bell = (replace(place, mode=PLACED) for place in edits.default_placements(planned))
    edited = edits.apply_edits(planned, pipe, [replace(dog, name="owl"), bell], prompt=None)
    assert edited.prompt.text == "a photo of an owl and a bell"
    assert edited.subjects == ["owl", "bell"] and {i: each.label for i, each in edited.regions.items()} == {
        0: "owl",
        1: "bell",
    }
    assert centre(edited.regions[0].box) < 0.4 and "By hand: the dog was named owl." in edited.notes
    alone = edits.apply_edits(planned, pipe, [replace(dog, name="owl"), replace(bell, mode=OUT)], prompt="at night")
    assert alone.prompt.text == "at night and an owl" and list(alone.regions) == [0]


def test_a_name_that_the_prompt_says_is_that_word(pipe):
    planned = heard(-31.0, 17.0, words=("bell", "owls"), similarity=[[0.9, 0.0], [0.0, 0.1]])
    dog, bell = edits.default_placements(planned)
    edited = edits.apply_edits(planned, pipe, [replace(dog, name="snowy owl"), bell], prompt="a bell and two owls")
    assert edited.prompt.text == "a bell and two owls and <audio>"  # the bell is no longer the dog's word
    assert edited.regions[0].label == "owls" and edited.regions[1].label == "bell"
    renamed = edits.choose_named_words(planned, [replace(dog, name="bell"), replace(bell, name="bell")])
    assert [each.word for each in renamed] == ["0", OWN]  # one word for each


@pytest.mark.parametrize(
    ("typed", "name"),
    [("  church   bell ", "church bell"), ("(owl:1.5) <audio>", "owl 1 5 audio"), ("", ""), ("x" * 99, "x" * 60)],
)
def test_what_a_person_types_becomes_a_name(typed, name):
    planned = heard(12.0)
    places = edits.default_placements(planned)
    sent = view.scene_state(planned, places, 90.0)
    assert (sent["sources"][0]["name"], sent["sources"][0]["given"]) == ("dog", "")
    sent["sources"][0]["given"] = typed
    (read,) = view.read_placements(sent, planned, places)
    assert read.name == name
    assert view.sketch_state(planned, [read], 90.0)["boxes"][0]["label"] == (name or "dog")


def test_a_small_model_tells_which_words_it_has_read(monkeypatch):
    pipe = SimpleNamespace(tokenizer=CLIPTokenizer.from_pretrained(MINI / "tokenizer"))
    words = view.list_vocabulary(pipe)
    assert "frog" in words and "tractor" not in words
    monkeypatch.setattr(view, "SMALL_VOCABULARY", 10)
    assert view.list_vocabulary(pipe) is None
