"""The page of a run: everything is there, nothing is loaded, no text breaks it, and it stays small."""

import io
import re
from base64 import b64decode
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from html_reader import Reader
from PIL import Image
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.mini.sounds import synthesise
from audiotoken.model import load_pipeline
from audiotoken.prompt import Prompt
from audiotoken.report import facts as report_facts
from audiotoken.report import media as report_media
from audiotoken.report.html import element
from audiotoken.report.result_page import report_page
from audiotoken.stereo.generation import Result, sound_to_image
from audiotoken.stereo.words import Word
from guidance.regions import Region
from guidance.sampling import Sample
from guidance.trace import StepTrace
from spatial.matching import match
from spatial.scene import Direction, Scene, Source
from spatial.simulation import simulate

RATE = 8000
BAD = '<script>alert("1")</script> & \'"'
SECTIONS = ["recorded", "directions", "sources", "words", "guidance", "time", "settings", "references"]


def tone(hertz, seconds=1.0, rate=RATE):
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def made(
    *, sources=None, count=1, known=True, words=("frog", "river"), energy="combined", regions=None, trace=None, **more
):
    """A result as if these had been heard and drawn, of a frog that passes by and a bell on the right."""
    if sources is None:
        frog = Source(tone(400), Direction(-23.0, 4.0, 0.8), -20.0, ((0.0, -40.0), (1.0, -6.0)), ((0.1, 0.9),))
        sources = (frog, Source(tone(900), Direction(31.0, 2.0, 0.6), -26.0))
    scene = Scene(tuple(sources), RATE, more.pop("setup", "ortf"), confidence=0.7)
    similarity = np.array([[0.9, 0.1], [0.05, 0.2]])[: len(sources), : len(words)]
    if regions is None:
        regions = {0: Region((0.1, 0.3, 0.4, 0.8), (2,), "frog"), 1: Region((0.6, 0.3, 0.9, 0.8), (5,), "bell")}
    if trace is None:
        trace = [
            StepTrace(i, 9.0 - i, (1.2 - 0.3 * i,) * count, (0.9 - 0.3 * i,) * count, (1,) * count) for i in range(3)
        ]
        trace += [StepTrace(i, 1.0) for i in range(3, 6)]
    maps = [[torch.rand(len(regions), 4, 6) for _ in range(count)] for note in trace if note.before]
    images = [Image.new("RGB", (32, 24), (40 * i, 90, 160)) for i in range(count)]
    heard = [[("Croak", 0.8), ("Bird", 0.2)], [("Ding", 0.6)]][: len(sources)]
    prompt = Prompt(torch.zeros(1, 8, 4), ((5,),), "a frog by a river and <audio>")
    found = {
        "recording": np.stack([tone(400), 0.5 * tone(900)]),
        "rate": RATE,
        "scene": scene,
        "heard": heard,
        "known": [known] * len(sources),
        "words": [Word(word, 0) for word in words],
        "similarity": similarity,
        "matches": match(similarity, threshold=0.3) if words else [],
        "prompt": prompt,
        "regions": regions,
        "notes": ["Sound 2 is quiet."],
        "seconds": {"listen": 0.5, "sample": 2.0},
        "sample": Sample(images, trace, torch.zeros(count, 4, 3, 4), maps),
        "seed": 7,
        "energy": energy,
    }
    return Result(**found | more)


def read(result, **options):
    return Reader(report_page(result, **options))


@cache
def usual():
    """The page of the usual result."""
    return report_page(made(), options={"fov": 80.0, "prompt": "a frog by a river", "model": None})


def decoded(address):
    kind, content = re.fullmatch(r"data:([\w/]+);base64,(.+)", address).groups()
    return kind, b64decode(content)


def test_sections_are_complete_and_in_order():
    page = Reader(usual())
    assert [each["id"] for each in page.all("h2")] == SECTIONS
    for said in (
        "a frog by a river and <audio>",
        "Sound 2 is quiet.",
        "40° left → 6° left",
        "31° right",
        "active 0.1-0.9 s",
        "-26 dB",
        "Croak",
        "0.90 ✓",
        "No source matches “river”",
        "No word matches source 2",
        "fell from 1.20 to 0.30 in 3 of 6 steps, with 3 updates",
        "step 3",
        "ORTF, confidence 0.70",
        torch.__version__.split("+")[0],
        "arXiv 2305.13050",
        "80.0",
    ):
        assert said in page.text, said
    assert len(page.all("audio")) == 3 and len(page.all("svg")) == 4
    assert "0.20 ✓" not in page.text  # below the threshold, so no pair


def test_page_loads_nothing_and_runs_no_scripts():
    page = Reader(usual())
    for tag, attributes in page.seen:
        assert tag not in ("script", "link", "iframe", "object"), tag
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            if tag == "a":
                assert re.fullmatch(r"https://arxiv.org/abs/[\d.]+", value)
            elif name in ("src", "href"):
                assert value.startswith(("data:", "#")), value[:60]
            else:
                assert "://" not in (value or ""), (tag, name)
    assert "url(#" in usual() and "@import" not in usual()


def test_ids_are_unique_and_references_resolve():
    page = Reader(usual())
    ids = [attributes["id"] for _, attributes in page.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', usual())
    assert wanted and {a or b for a, b in wanted} <= set(ids)


def test_texts_are_escaped():
    bad = made(notes=[BAD], prompt=Prompt(torch.zeros(1, 8, 4), ((5,),), f"{BAD} and <audio>"))
    bad = replace(
        bad,
        words=[Word(BAD, 0), Word("river", 0)],
        heard=[[(BAD, 0.8)], [(BAD, 0.3)]],
        regions={0: Region((0.1, 0.3, 0.4, 0.8), (2,), BAD)},
        energy="none",
    )
    page = read(bad, options={"prompt": BAD, "model": BAD})
    assert not page.all("script") and page.text.count(BAD) >= 6
    assert element("p", BAD, title=BAD).count("<") == 2


def test_players_hold_the_signals():
    result = made()
    signals = [result.recording.T, *(source.signal for source in result.scene.sources)]
    for audio, signal in zip(Reader(usual()).all("audio"), signals, strict=True):
        kind, content = decoded(audio["src"])
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
        assert (kind, rate, samples.shape) == ("audio/flac", RATE, signal.shape)
        assert np.abs(samples - signal).max() < 1e-4


def test_first_image_is_the_picture():
    result = made()
    kind, content = decoded(Reader(usual()).all("img")[0]["src"])
    assert kind == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(result.images[0]))


def test_a_source_has_one_colour():
    page = usual()
    for name, colour in (("frog", "--c0"), ("bell", "--c1")):
        box = re.search(rf'<div class="box" style="--on:var\(({colour})\);[^"]*"><span>{name}', page)
        assert box, name
    assert page.count("--on:var(--c1)") >= 6 and "fill: var(--c1)" in page and "stroke: var(--c1)" in page
    assert "#1d6fb8" not in page.split("</style>")[1]


def test_boxes_have_the_edges_of_regions():
    page = report_page(made(regions={1: Region((0.25, 0.5, 0.75, 1.0), (5,), "bell")}))
    assert "left:25.00%;top:50.00%;width:50.00%;height:50.00%" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sources": (), "regions": {}, "trace": [], "words": ()}, "No source was found."),
        ({"setup": "mono", "regions": {}, "trace": []}, "holds no directions"),
        ({"recording": np.zeros((2, 4), np.float32)}, "silence"),
        ({"recording": tone(300)[None], "setup": "mono", "regions": {}, "trace": []}, "without layout guidance"),
        ({"recording": np.stack([tone(300)] * 4)}, "4 channels"),
        ({"known": False}, "No known sound has a high score"),
        ({"energy": "none", "trace": []}, "method none"),
        ({"energy": "forward", "trace": [StepTrace(0, 9.0)]}, "biases attention towards the boxes"),
        ({"heard": [[], []]}, "has no labels"),
        ({"count": 3}, "seeds 7 to 9"),
        ({"words": ()}, "there was nothing to match"),
        ({"seconds": {}}, "0.0 seconds"),
    ],
)
def test_page_is_complete_for_every_kind_of_result(change, said):
    page = read(made(**change))
    assert [each["id"] for each in page.all("h2")] == SECTIONS
    assert said in page.text


def test_film_is_embedded_and_frames_have_their_boxes(tmp_path):
    rows = [[Region((x, 0.3, x + 0.3, 0.8), (2,), "frog")] for x in (0.1, 0.5)]
    result = made(count=2, regions={0: Region((0.1, 0.3, 0.8, 0.8), (2,), "frog")}, frames=rows)
    result.images[0].save(tmp_path / "frog.gif")
    page = report_page(result, film=tmp_path / "frog.gif")
    assert "data:image/gif" in page and "2303.13439" in page
    assert "0.2 s" in page and "0.8 s" in page and "left:10.00%" in page and "left:50.00%" in page
    (tmp_path / "frog.gif").write_bytes(b"0" * 3_000_000)
    page = report_page(result, film=tmp_path / "frog.gif")
    assert "seed 7" in page and "seeds 7" not in page and "2 frames" in page
    assert "too large" in page and "data:image/gif" not in page
    trail = report_page(result, picture=Image.new("RGB", (64, 48)))
    assert "0.0 s" in trail and "1.0 s" in trail and "width:70.00%" in trail  # all of its way in the first


@pytest.mark.parametrize(
    ("energy", "numbers"),
    [("combined", ["2304.03373", "2512.17851"]), ("boxdiff", ["2307.10816"]), ("layout", ["2304.03373"]), ("none", [])],
)
def test_only_used_methods_are_cited(energy, numbers):
    assert [number for _, number in report_facts.list_citations(made(energy=energy))] == ["2305.13050", *numbers]
    assert [number for _, number in report_facts.list_citations(made(energy=energy, regions={}))] == ["2305.13050"]


def test_each_source_is_described_by_its_token():
    result = made()
    assert report_facts.describe_token(result, 0) == "Drawn as the word “frog” of the prompt"
    assert report_facts.describe_token(result, 1) == "Drawn as its audio token, added to the prompt"
    dropped = replace(result, prompt=Prompt(torch.zeros(1, 8, 4), (), "a frog by a river"))
    assert "Not drawn" in report_facts.describe_token(dropped, 1)
    assert "left out" in " ".join(report_facts.describe_matches(dropped))
    assert '<span class="sound" style="--on:var(--c1)" title="the sound of sound">' in usual()


def test_page_size_is_limited():
    """Nine seconds of noise at 48 kHz from four places, and large noisy pictures."""
    random = np.random.default_rng(3)
    noise = random.uniform(-1, 1, (4, 9 * 48_000)).astype(np.float32)
    sources = tuple(Source(each, Direction(20.0 * i - 30)) for i, each in enumerate(noise))
    pictures = [Image.fromarray(random.integers(0, 255, (512, 512, 3), np.uint8)) for _ in range(4)]
    result = made(setup="ortf", trace=[], regions={}, words=(), energy="none")
    heard = [[("noise", 0.9)]] * 4
    result = replace(
        result,
        recording=noise[:2],
        rate=48_000,
        scene=replace(result.scene, sources=sources),
        heard=heard,
        known=[True] * 4,
        sample=replace(result.sample, images=pictures),
    )
    page = report_page(result)
    assert 3_000_000 < len(page) < report_media.PAGE
    assert "kHz instead of 48 kHz" in page


def test_sounds_beyond_the_budget_are_resampled_then_cut():
    signal = np.random.default_rng(1).uniform(-1, 1, 32_000).astype(np.float32)
    for budget, rate, part in ((100_000, 16_000, 1.0), (50_000, 8_000, 1.0), (20_000, 8_000, 0.5)):
        (uri,), notes = report_media.encode_sounds([signal], 16_000, budget)
        info = soundfile.info(io.BytesIO(decoded(uri)[1]))
        assert len(uri) <= budget and info.samplerate == rate and len(notes) == (rate < 16_000) + (part < 1)
        assert info.duration == pytest.approx(2 * part, rel=0.3)
        assert all(note.endswith(".") for note in notes)


def test_place_command_writes_a_page(tmp_path, monkeypatch):
    """From recording to report with the checkpoint that ships: by the command, and from Python for one channel."""
    pipe = load_pipeline("mini", "cpu")
    monkeypatch.setattr("audiotoken.tasks.place.load_pipeline", lambda *_: pipe)
    frog, bell = (synthesise(word, RATE, 1.5, 9) for word in ("frog", "bell"))
    street = simulate([(frog, -28.0), (bell, 28.0)], "panned", rate=RATE)
    soundfile.write(tmp_path / "street.wav", street.T, RATE)
    asked = ["place", str(tmp_path / "street.wav"), "-o", str(tmp_path / "a.png"), "--steps", "2"]
    ran = CliRunner().invoke(app, [*asked, "--report", str(tmp_path / "a.html")])
    assert ran.exit_code == 0 and "a.html" in ran.output, ran.output
    page = Reader((tmp_path / "a.html").read_text("utf-8"))
    assert [each["id"] for each in page.all("h2")] == SECTIONS and "step 1" in page.text
    assert {path.name for path in tmp_path.iterdir()} == {"street.wav", "a.png", "a.html"}
    wrong = CliRunner().invoke(app, [*asked, "--report", str(tmp_path / "a.pdf")])
    assert wrong.exit_code == 2 and ".html" in wrong.output
    mono = sound_to_image(frog, RATE, pipe, setup="mono", num_inference_steps=1)
    assert "a photo of <audio>" in read(mono).text


def test_rising_energy_is_not_described_as_falling():
    rising = [SimpleNamespace(before=(0.5, 0.7), after=(0.8, 0.8), updates=(2, 1), step=0)]
    sentence = report_facts.describe_energy(rising)
    assert sentence.startswith("The energy went from 0.60 to 0.80 in 1 of 1 steps, with at most 2")
