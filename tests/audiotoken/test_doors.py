"""What the library is called with: arrays as other libraries have them, words and numbers that make no sense."""

import io
import json

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from audiotoken.audio import AudioError, as_recording
from audiotoken.cli.app import app
from audiotoken.debug import debug_pipeline
from audiotoken.errors import CheckpointError, OptionError, PromptError
from audiotoken.options import check_drawing
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.stereo.options import DrawOptions

RATE = 16_000
MONO = (0.3 * np.sin(np.arange(RATE) ** 1.3 / 40)).astype(np.float32)
STEREO = np.stack([MONO, MONO[::-1]])


def content() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, STEREO.T, RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


@pytest.mark.parametrize(
    "audio",
    [
        (RATE, STEREO.T),  # gradio.Audio
        (STEREO.T, RATE),  # soundfile.read
        (torch.from_numpy(STEREO.copy()), RATE),  # torchaudio.load
        {"array": STEREO, "sampling_rate": RATE},  # datasets
        {"path": None, "bytes": content()},  # datasets, not decoded
        content(),
        io.BytesIO(content()),
    ],
)
def test_recordings_of_other_libraries(audio):
    recording, rate = as_recording(audio)
    assert rate == RATE
    np.testing.assert_allclose(recording, STEREO, atol=1e-6)


@pytest.mark.parametrize(
    ("audio", "rate", "words"),
    [
        ({"array": MONO}, None, "without its rate"),
        ({"sampling_rate": RATE}, None, 'expected "array" and "sampling_rate"'),
        ((RATE, MONO), 8000, "Got a recording of 16000 Hz and rate=8000"),
        (io.StringIO("words"), None, "expected a binary file"),
        (b"words", None, "not a sound"),
        ((RATE, "words"), None, "without its rate"),
    ],
)
def test_what_is_no_recording(audio, rate, words):
    with pytest.raises(AudioError, match=words):
        as_recording(audio, rate)


@pytest.fixture(scope="module")
def pipe():
    made = debug_pipeline(kind="sd1")
    made.set_progress_bar_config(disable=True)
    return made


def test_a_pair_is_one_sound_and_a_list_of_them_are_several(pipe):
    assert len(pipe.audio_prompts((RATE, MONO))) == 1
    assert len(pipe.audio_prompts([(RATE, MONO), {"array": MONO, "sampling_rate": RATE}])) == 2


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        ({"audio": "a photo of a frog"}, PromptError, "pass words as prompt='a photo of a frog'"),
        ({"audio": MONO, "rate": RATE, "num_inference_step": 3}, TypeError, "did you mean num_inference_steps"),
        ({"audio": MONO, "sampling_rate": RATE}, TypeError, "unexpected keyword argument 'sampling_rate'"),
        ({"prompt": 5}, PromptError, "Got 5 as a prompt, expected text"),
        ({"prompt": "a", "negative_prompt": 5}, PromptError, "Got 5 as a prompt"),
        ({"prompt": "a", "seed": 2**70}, OptionError, "expected a number of 64 bits"),
        ({"prompt": "a", "height": -8}, OptionError, "height=-8"),
        ({"prompt": "a", "num_images_per_prompt": 0}, OptionError, "count=0"),
    ],
)
def test_calls_that_make_no_sense_are_one_sentence(pipe, call, kind, words):
    with pytest.raises(kind, match=words):
        pipe(**call)


def test_no_number_of_pictures_is_one(pipe):
    assert len(pipe(prompt="a dog", num_images_per_prompt=None, num_inference_steps=1).images) == 1


@pytest.mark.parametrize(
    "options", [{"count": 0}, {"seed": 2**70}, {"seed": -(2**70)}, {"height": -8}, {"width": 10**9}, {"count": 10**9}]
)
def test_numbers_that_cannot_be_drawn_with(options):
    with pytest.raises(OptionError, match=r"change it|smaller"):
        DrawOptions(**options)
    check_drawing(seed=2**63, count=1, height=None, width=64)


@pytest.mark.parametrize(
    "name", ["FlowMatchEulerDiscreteScheduler", "DDPMWuerstchenScheduler", "DDIMInverseScheduler", "RePaintScheduler"]
)
def test_a_scheduler_of_another_kind_of_model(pipe, name, tmp_path):
    change(pipe, tmp_path, ["diffusers", name])
    with pytest.raises(CheckpointError, match=f"scheduler {name} is for another kind of model"):
        AudioTokenPipeline.from_pretrained(tmp_path)


def test_a_scheduler_that_predicts_nothing_known(pipe, tmp_path):
    change(pipe, tmp_path, ["diffusers", "DDIMScheduler"], prediction_type="x")
    with pytest.raises(CheckpointError, match="prediction_type='x', expected one of epsilon"):
        AudioTokenPipeline.from_pretrained(tmp_path)


def change(pipe, folder, scheduler, **values) -> None:
    pipe.save_pretrained(folder)
    for name, new in (("model_index.json", {"scheduler": scheduler}), ("scheduler/scheduler_config.json", values)):
        content = json.loads((folder / name).read_text()) | new
        content |= {"_class_name": scheduler[1]} if "scheduler/" in name else {}
        (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    "line",
    [
        "place a.wav --model ~nosuch/x",
        "generate a.wav --model ~nosuch/x",
        "listen a.wav --model ~nosuch/x",
        "listen ~nosuch/a.wav",
        "assemble --base ~nosuch/x -o out",
        "assemble --base mini --embedder ~nosuch/x -o ~nosuch/out",
        "evaluate --clips ~nosuch/x",
        "train --data ~nosuch/x -o out",
        "prepare --source ~nosuch/x -o out",
        "demo --port 99999",
    ],
)
def test_users_and_ports_that_do_not_exist(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", MONO, RATE)
    said = CliRunner().invoke(app, line.split())
    assert said.exit_code == 2 and isinstance(said.exception, SystemExit), said.output
