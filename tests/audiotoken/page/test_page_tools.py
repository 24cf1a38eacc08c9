"""The tools that the page offers to programs: what they answer, and that they are the only ones."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import gradio as gr
import numpy as np
import pytest
import soundfile

from audiotoken import serving, stereo
from audiotoken.errors import OptionError
from audiotoken.page.tools import Tools, add_tools
from guidance.forms import FORMS

RATE = 16_000


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A second of a sound at 27 degrees left and one at 27 degrees right, in bursts."""
    noise = np.random.default_rng(4).standard_normal((2, RATE)) * 0.2
    bursts = noise * (np.sin(np.arange(RATE) / RATE * 2 * np.pi / np.array([[0.7], [0.45]])) > 0)
    turns = np.pi / 2 * np.array([0.2, 0.8])
    path = tmp_path_factory.mktemp("clip") / "two.wav"
    soundfile.write(path, (np.stack([np.cos(turns), np.sin(turns)]) @ bursts).T, RATE)
    return str(path)


def test_listen_says_who_is_where(clip):
    found = Tools("mini").listen(clip, "frog, bell")
    azimuths = sorted(source["azimuth"] for source in found["sources"])
    assert azimuths == pytest.approx([-27, 27], abs=4) and found["words"] == ["frog", "bell"]
    json.dumps(found)


def test_layout_is_written_in_any_form(clip):
    text = Tools("mini").layout(clip, "ideogram", "frog, bell", "at dusk")
    layout = FORMS["ideogram"].read(text, (1024, 1024))
    assert layout.words == ["frog", "bell"] and layout.caption.endswith("at dusk")
    assert layout.entries[0].centre[0] < 0.4 < 0.6 < layout.entries[1].centre[0]


def test_the_encoder_is_loaded_once_for_all_calls_and_threads(clip, monkeypatch):
    loaded, again, load = [], Event(), stereo.make_scene_labeller

    def load_slowly(model):
        loaded.append(model)
        if len(loaded) > 1:
            again.set()
        again.wait(0.3)  # for a second call to come in between
        return load(model)

    monkeypatch.setattr(stereo, "make_scene_labeller", load_slowly)
    tools = Tools("mini")
    tools.layout(clip, words="frog, bell")
    assert loaded == []
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(tools.listen, [clip, clip])
    assert first == second and first["sources"][0]["label"]
    tools.layout(clip)
    assert loaded == ["mini"]


@pytest.mark.parametrize(
    ("inputs", "text"), [({"form": "flux9"}, "expected one of"), ({"width": 0}, "canvas"), ({"words": ","}, "words")]
)
def test_what_cannot_be_answered_is_a_sentence(clip, inputs, text):
    with pytest.raises(gr.Error, match=text):
        Tools("mini").layout(clip, **inputs)
    with pytest.raises(gr.Error, match=r"nowhere\.wav"):
        Tools("mini").listen("nowhere.wav")


def test_programs_see_the_tools_and_no_button():
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Button("Generate").click(lambda: None)
        add_tools(page, "mini")
    offered = page.get_api_info()["named_endpoints"]
    assert set(offered) == {"/listen", "/layout"}
    names = [each["parameter_name"] for each in offered["/layout"]["parameters"]]
    assert names == ["recording", "form", "words", "setting", "width", "height"]
    assert offered["/layout"]["parameters"][4]["type"]["type"] == "integer"


def test_a_missing_library_is_a_sentence(monkeypatch):
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"spatial-audiotoken\[mcp\]"):
        serving.require_mcp()
