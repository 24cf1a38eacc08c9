"""From a stereo clip to a picture with everything on its side."""

import re
from functools import cache

import av
import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from audiotoken.audio import load_audio
from audiotoken.cli.app import app
from audiotoken.errors import PromptError
from audiotoken.mini.sounds import synthesise
from audiotoken.model import load_pipeline
from audiotoken.stereo import planning as pipeline
from audiotoken.stereo.films import draw_trail
from audiotoken.stereo.generation import sound_to_image
from audiotoken.stereo.options import PlanOptions
from audiotoken.stereo.planning import Plan, Stages, find_left_out, make_plan, place_sources, plan
from audiotoken.stereo.words import find_subject_words
from audiotoken.tasks import place as place_module
from audiotoken.tasks.place import format_summary
from guidance.regions import Region
from spatial.scene import Direction, Scene, Source
from spatial.simulation import simulate, simulation

RATE = 22_050


@pytest.fixture(scope="module")
def pipe():
    return load_pipeline("mini", "cpu")


@pytest.fixture(scope="module", autouse=True)
def heard():
    """What was listened to: a recording that comes again is not listened to again. A model is loaded once."""
    known, listen = {}, pipeline.listen_at_length

    def listen_once(recording, rate, *, progress, **options):
        key = (recording.tobytes(), rate, *options.items())
        if key not in known:
            known[key] = listen(recording, rate, progress=progress, **options)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "listen_at_length", listen_once)
        patch.setattr(place_module, "load_pipeline", cache(place_module.load_pipeline))
        yield known


@pytest.fixture(scope="module")
def street():
    """A frog on the left, a bell on the right."""
    frog, bell = (synthesise(word, RATE, 3.0, 9) for word in ("frog", "bell"))
    return simulate([(frog, -28.0), (bell, 28.0)], "panned", rate=RATE)


def centres(result):
    return {region.label: region.centre[0] for region in result.regions.values()}


def test_the_frog_is_left_and_the_bell_is_right(pipe, street):
    result = sound_to_image(street, RATE, pipe, num_inference_steps=2)
    assert set(result.subjects) == {"frog", "bell"}
    assert centres(result)["frog"] < 0.4 < 0.6 < centres(result)["bell"]
    assert result.prompt.text == "a photo of " + " and ".join(f"a {name}" for name in result.subjects)
    learned = plan(street, RATE, pipe, token="learned")
    assert learned.prompt.text == "a photo of <audio> and <audio>" and centres(learned) == centres(result)


def test_a_word_finds_a_sound_that_was_not_heard_as_a_source(pipe, street):
    """The listener takes both for one source at the frog's place; with the bell's name it is heard on the right."""
    image = street.astype(np.float32)
    found = Scene((Source(image[0], Direction(-28.0), image=image),), RATE, "panned")
    stages, told = Stages(find_sources=lambda *_: found), PlanOptions("a bell and a frog by a river")
    planned = make_plan(street, RATE, pipe, told, stages=stages)
    assert centres(planned)["frog"] < 0.4 < 0.6 < centres(planned)["bell"]
    assert planned.prompt.text == "a bell and a frog by a river" and len(planned.scene.sources) == 2
    other = make_plan(street, RATE, pipe, PlanOptions("a rooster and a frog"), stages=stages)
    assert len(other.scene.sources) == 1 and list(centres(other)) == ["frog"]  # there is no rooster
    one = make_plan(street, RATE, pipe, PlanOptions("a bell and a frog", max_sources=1), stages=stages)
    assert len(one.scene.sources) == 1


def test_channels_swapped_the_places_are_swapped(pipe, street):
    result = plan(street[::-1], RATE, pipe)
    assert centres(result)["bell"] < 0.4 < 0.6 < centres(result)["frog"]


def test_words_of_the_prompt_go_where_they_are_heard(pipe, street):
    result = plan(street, RATE, pipe, prompt="a bell and a frog by a river")
    assert result.prompt.text == "a bell and a frog by a river"
    assert centres(result)["frog"] < 0.4 < 0.6 < centres(result)["bell"]
    bell, frog = (next(r.positions for r in result.regions.values() if r.label == name) for name in ("bell", "frog"))
    assert bell < frog  # each its own word


def test_a_sound_that_no_word_names_is_added_or_dropped(pipe, street):
    added = plan(street, RATE, pipe, prompt="a frog at night")
    dropped = plan(street, RATE, pipe, prompt="a frog at night", unmatched="drop")
    assert added.prompt.text == "a frog at night and <audio>" and len(added.regions) == 2
    assert dropped.prompt.text == "a frog at night" and [region.label for region in dropped.regions.values()] == [
        "frog"
    ]


def test_a_sound_stands_where_the_prompt_keeps_a_place(pipe, street):
    result = sound_to_image(street, RATE, pipe, prompt="a frog and (<audio>:1.2) by a river", num_inference_steps=1)
    assert result.prompt.text == "a frog and (<audio>:1.2) by a river"
    assert centres(result)["frog"] < 0.4 < 0.6 < centres(result)["bell"]


def test_one_channel_has_no_place_and_is_still_drawn(pipe):
    result = sound_to_image(synthesise("frog", RATE, 2.0, 9)[None], RATE, pipe, num_inference_steps=1)
    assert not result.regions and len(result.images) == 1
    assert any("directions cannot be estimated" in note for note in result.notes)


def plan_of(pipe, *sources, known=True):
    """As if these had been heard: nothing is drawn."""
    heard = [[("rain", 0.9)] for _ in sources]
    scene = Scene(sources, RATE, "binaural")
    (read,) = pipe.encode_prompts("a photo of rain")
    nothing = np.zeros((len(sources), 0))
    return Plan(np.zeros((2, 4)), RATE, scene, heard, [known] * len(sources), [], nothing, [], read, {}, [], {})


def test_diffuse_sources_have_no_place(pipe):
    rain = Source(np.zeros(4, np.float32), Direction(0.0, 60.0))
    regions, notes = place_sources(plan_of(pipe, rain), {0: (4,)}, 90.0)
    assert not regions and "everywhere" in notes[0]


@pytest.mark.parametrize(
    ("unknown", "positions", "places", "words"),
    [
        ("guess", {0: (4,)}, 1, "(nearest: rain)."),
        ("unplaced", {0: (4,)}, 0, "drawn without a box"),
        ("omit", {}, 0, "left out"),
    ],
)
def test_unknown_sounds_get_a_note_and_a_guess_or_no_place(pipe, unknown, positions, places, words):
    strange = Source(np.zeros(4, np.float32), Direction(-20.0, 1.0))
    regions, notes = place_sources(plan_of(pipe, strange, known=False), positions, 90.0, unknown)
    assert len(regions) == places and "nearest: rain" in notes[0] and words in notes[0]


@pytest.mark.parametrize(
    ("known", "prompt", "unknown", "left_out"),
    [
        ([True, False], None, "omit", [1]),
        ([False, False], None, "omit", [1]),  # something has to be drawn
        ([False, False], "a river", "omit", [0, 1]),
        ([True, False], None, "unplaced", []),
        ([True, False], "a river", "unplaced", [1]),  # nothing strange is added to a prompt
        ([True, False], "a river", "guess", []),
    ],
)
def test_unknown_sounds_are_left_out(known, prompt, unknown, left_out):
    assert find_left_out(known, PlanOptions(prompt, unknown=unknown)) == left_out


def test_a_hum_is_none_of_the_known(pipe):
    hum = (0.2 * np.sin(2 * np.pi * 50 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    planned = plan(simulate([(hum, 25.0)], "panned", rate=RATE), RATE, pipe)
    assert planned.known == [False] and any("not one that the encoder knows" in note for note in planned.notes)
    frog = plan(simulate([(synthesise("frog", RATE, 2.0, 9), 25.0)], "panned", rate=RATE), RATE, pipe)
    assert frog.known == [True] and not frog.notes


def test_a_hum_beside_a_frog_is_not_drawn_and_the_whole_road_says_so(pipe):
    hum = (0.2 * np.sin(2 * np.pi * 50 * np.arange(3 * RATE) / RATE)).astype(np.float32)
    true = simulation([(synthesise("frog", RATE, 3.0, 9), -25.0), (hum, 25.0)], "panned", rate=RATE)

    def plan_true(**options):
        stages = Stages(find_sources=lambda *_: true.scene)
        return make_plan(true.recording, RATE, pipe, PlanOptions(**options), stages=stages)

    planned = plan_true()
    assert planned.known == [True, False] and [region.label for region in planned.regions.values()] == ["frog"]
    assert len(planned.notes) == 1 and "Sound 2" in planned.notes[0] and "left out" in planned.notes[0]
    told = plan_true(prompt="a frog by a river")
    assert told.prompt.text == "a frog by a river" and len(told.regions) == 1
    guessed = plan_true(prompt="a frog by a river", unknown="guess")
    assert guessed.prompt.text == "a frog by a river and <audio>" and len(guessed.regions) == 2


def test_two_of_a_kind_are_two_words_in_two_places(pipe):
    left, right = (synthesise("dog", RATE, 3.0, seed) for seed in (4, 11))
    recording = simulate([(left, -30.0), (right, 30.0)], "panned", rate=RATE)
    result = sound_to_image(recording, RATE, pipe, prompt="a dog and a dog", num_inference_steps=1)
    assert result.subjects == ["dog", "dog"] and len(result.regions) == 2
    assert {region.positions for region in result.regions.values()} == {(2,), (5,)}
    assert sorted(region.centre[0] < 0.5 for region in result.regions.values()) == [False, True]
    text = format_summary(result, "out.png")
    heard = [
        int(degrees) * (1 if side == "right" else -1) for degrees, side in re.findall(r"(\d+)° (left|right)", text)
    ]
    assert sorted(heard) == pytest.approx([-30, 30], abs=3)
    assert text.count("box") == 2 and "box 0.0" in text


@pytest.mark.slow
def test_the_same_seed_draws_the_same_picture(pipe, street, heard):
    first = sound_to_image(street, RATE, pipe, seed=3, num_inference_steps=2).images[0]  # the last step adds no noise
    heard.clear()
    second = sound_to_image(street, RATE, pipe, seed=3, num_inference_steps=2).images[0]
    assert np.array_equal(np.asarray(first), np.asarray(second))


def test_words_are_found_whole_and_as_often_as_they_stand():
    def found(prompt):
        return [(word.text, word.nth) for word in find_subject_words(prompt, ["dog", "cat", "vacuum cleaner"])]

    assert found("a Dog, a cat and a dogma of dogs") == [("Dog", 0), ("cat", 0), ("dogma", 0), ("dogs", 0)]
    assert found("a dog and a Dog") == [("dog", 0), ("Dog", 1)]
    assert found("a photo of two small green frogs by the river") == [("frogs", 0), ("river", 0)]
    assert found("<audio> beside a red vacuum cleaner at night") == [("vacuum cleaner", 0), ("night", 0)]
    assert found("") == found("<audio> and <audio>") == []


@pytest.mark.parametrize("token", ["learned", "label"])
def test_words_that_are_no_labels_stay_free_and_plurals_are_labels(pipe, street, token):
    planned = plan(street, RATE, pipe, prompt="frogs by a river", token=token)
    assert [word.text for word in planned.words] == ["frogs", "river"]
    (frog,) = [i for i, name in enumerate(planned.subjects) if name == "frogs"]
    pairs = {(pair.source, pair.token) for pair in planned.matches}
    assert (frog, 0) in pairs and (1 - frog, None) in pairs and (None, 1) in pairs
    assert planned.similarity[frog, 0] > 0.6 > 0.3 > planned.similarity[:, 1].max()
    assert planned.regions[frog].centre[0] < 0.4


def test_a_word_after_a_sound_of_the_same_name_is_the_word(pipe):
    """ "<audio> and a dog", the sound being a dog too: the word keeps its own place."""
    left, right = (synthesise("dog", RATE, 3.0, seed) for seed in (4, 11))
    recording = simulate([(left, -30.0), (right, 30.0)], "panned", rate=RATE)
    planned = plan(recording, RATE, pipe, prompt="<audio> and a dog", token="label")
    assert planned.prompt.text == "a dog and a dog"
    assert {region.positions for region in planned.regions.values()} == {(2,), (5,)}


def test_more_than_two_channels_are_the_first_two(pipe, street):
    planned = plan(np.concatenate([street, street[:1] * 0]), RATE, pipe)
    assert len(planned.regions) == 2 and "3 channels" in planned.notes[0]


def test_mono_is_the_paper_s_road(pipe, street):
    planned = plan(street, RATE, pipe, setup="mono")
    assert planned.scene.at(1.0) == {0: 0.0} and planned.scene.at(9.0) == {}
    assert not planned.regions and len(planned.heard) == 1 and planned.prompt.text == "a photo of <audio>"
    with pytest.raises(PromptError, match="write <audio>"):
        plan(street, RATE, pipe, setup="mono", prompt="a frog")


def test_the_command_draws_and_says_where(tmp_path, street):
    soundfile.write(tmp_path / "street.wav", street.T, RATE)
    out = tmp_path / "street.png"
    ran = CliRunner().invoke(app, ["place", str(tmp_path / "street.wav"), "-o", str(out), "--steps", "1", "--boxes"])
    assert ran.exit_code == 0, ran.output
    assert out.exists() and (tmp_path / "street-boxes.png").exists()
    assert "28° left" in ran.output and "28° right" in ran.output


@pytest.mark.parametrize("option", ["unmatched", "setup", "energy", "unknown", "motion", "token", "dtype"])
def test_wrong_choices_are_refused_by_the_parser(tmp_path, street, option):
    soundfile.write(tmp_path / "street.wav", street.T, RATE)
    out = tmp_path / "out.png"
    ran = CliRunner().invoke(app, ["place", str(tmp_path / "street.wav"), "-o", str(out), f"--{option}", "brute"])
    assert ran.exit_code == 2 and f"Invalid value for '--{option}'" in ran.stderr and "is not one of" in ran.stderr
    assert not out.exists()


def test_several_pictures_are_numbered_beside_their_sheet(tmp_path, street):
    soundfile.write(tmp_path / "street.wav", street.T, RATE)
    options = ["--steps", 1, "--setup", "panned", "--boxes"]
    ran = run("place", tmp_path / "street.wav", "-o", tmp_path / "a.png", "--count", 2, "--seed", 7, *options)
    assert ran.exit_code == 0, ran.output
    names = {"a.png", "a-1.png", "a-2.png", "a-boxes.png", "street.wav"}
    assert {path.name for path in tmp_path.iterdir()} == names
    run("place", tmp_path / "street.wav", "-o", tmp_path / "b.png", "--seed", 8, *options)
    alone, second = (np.asarray(Image.open(tmp_path / name), int) for name in ("b.png", "a-2.png"))
    assert np.abs(alone - second).max() <= 1  # the second of seed 7 is the first of seed 8


def test_a_trail_is_one_picture(tmp_path, street):
    soundfile.write(tmp_path / "street.wav", street.T, RATE)
    ran = run("place", tmp_path / "street.wav", "-o", tmp_path / "a.png", "--motion", "trail", "--count", 2)
    assert ran.exit_code == 2 and "Got count=2 with a trail" in ran.stderr


def test_a_lower_precision_reaches_the_pipeline(tmp_path, street, monkeypatch):
    class Loaded(Exception):
        pass

    def load(model, device, dtype, offload):
        raise Loaded(dtype)

    monkeypatch.setattr("audiotoken.tasks.place.load_pipeline", load)
    soundfile.write(tmp_path / "street.wav", street.T, RATE)
    for command, name in (("place", "a.png"), ("animate", "a.gif")):
        ran = run(command, tmp_path / "street.wav", "-o", tmp_path / name, "--dtype", "bfloat16")
        assert isinstance(ran.exception, Loaded) and str(ran.exception) == "bfloat16"


@pytest.fixture(scope="module")
def passing(tmp_path_factory):
    path = tmp_path_factory.mktemp("passing") / "car.wav"
    way = [(0.0, -40.0), (4.0, 40.0)]
    soundfile.write(path, simulate([(synthesise("car", RATE, 4.0, 3), way)], "ortf", rate=RATE).T, RATE)
    return path


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_moving_source_moves_in_the_film(tmp_path, passing):
    ran = run("animate", passing, "-o", tmp_path / "car.gif", "--frames", 3, "--steps", 2, "--token", "label")
    assert ran.exit_code == 0, ran.output
    with Image.open(tmp_path / "car.gif") as film:
        assert film.n_frames == 3
    assert re.search(r"^1  car  \d+° left -> \d+° right  box", ran.output, re.M), ran.output


def test_a_film_has_its_sound(tmp_path, passing):
    ran = run("animate", passing, "-o", tmp_path / "car.mp4", "--frames", 3, "--steps", 1, "--prompt", "a car at night")
    assert ran.exit_code == 0, ran.output
    assert "prompt  a car at night" in ran.output
    with av.open(str(tmp_path / "car.mp4")) as film:
        video, sound = film.streams.video[0], film.streams.audio[0]
        assert (video.frames, video.width) == (3, 256)
        assert float(video.duration * video.time_base) == pytest.approx(4.0, abs=0.1)
        assert float(sound.duration * sound.time_base) == pytest.approx(4.0, abs=0.1)
    recording, rate = load_audio(tmp_path / "car.mp4")
    first, last = recording[:, : rate // 2], recording[:, -rate // 2 :]
    assert np.ptp(recording) > 0.02 and np.square(first[0]).sum() > np.square(first[1]).sum()
    assert np.square(last[0]).sum() < np.square(last[1]).sum()


def test_a_moving_source_leaves_a_trail(tmp_path, passing):
    ran = run("place", passing, "-o", tmp_path / "car.png", "--motion", "trail", "--steps", 1, "--boxes")
    assert ran.exit_code == 0, ran.output
    assert (tmp_path / "car.png").exists() and (tmp_path / "car-boxes.png").exists()


def test_a_trail_is_the_world_and_all_that_moves():
    frames = [np.full((64, 64, 3), 40, np.uint8) for _ in range(3)]
    regions = [[Region((i / 3, 0.3, (i + 1) / 3, 0.7), (1,))] for i in range(3)]
    for i, frame in enumerate(frames):
        frame[20:44, 22 * i + 4 : 22 * i + 16] = 200
    shown = np.asarray(draw_trail([Image.fromarray(frame) for frame in frames], regions), float)[..., 0]
    seen = [shown[26:38, 22 * i + 8 : 22 * i + 12].mean() for i in range(3)]
    assert seen == sorted(seen) and 100 < seen[0] < 150 and seen[-1] > 190
    assert np.abs(shown[:8] - 40).max() < 2


def test_a_film_has_frames_and_ends_in_gif_or_mp4(tmp_path, passing):
    ran = run("animate", passing, "-o", tmp_path / "film.avi")
    assert ran.exit_code == 2 and ".gif" in ran.output and not (tmp_path / "film.avi").exists()
