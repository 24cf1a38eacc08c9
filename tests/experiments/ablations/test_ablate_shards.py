"""A shard is drawn whole, by one worker, and goes on behind the last picture."""

import io
import json
import tarfile

import numpy as np
import pytest
import soundfile
from PIL import Image

from audiotoken.errors import OptionError
from experiments.ablations import shards as ablate_shards
from experiments.ablations.shards import draw_shard, summarise_lines


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A tiny model, and two shards of three and two sounds."""
    from audiotoken.debug import debug_pipeline

    folder = tmp_path_factory.mktemp("shards")
    debug_pipeline().save_pretrained(folder / "model")
    for shard, names in enumerate((("a", "b", "c"), ("d", "e"))):
        with tarfile.open(folder / f"set-{shard:06}.tar", "w") as tar:
            for i, name in enumerate(names):
                sound, picture = io.BytesIO(), io.BytesIO()
                soundfile.write(sound, np.sin(np.arange(9000) * (0.1 + 0.1 * i)) / 2, 16_000, format="WAV")
                Image.new("RGB", (16, 16), (90 * i, 0, 0)).save(picture, "PNG")
                for suffix, content in (("wav", sound.getvalue()), ("png", picture.getvalue()), ("cls", b"dog")):
                    add(tar, f"{name}.{suffix}", content)
    return folder


def drawn(place, out, shard: int, **more):
    out.mkdir(exist_ok=True)
    pattern = str(place / "set-{000000..000001}.tar")
    told = {"model": str(place / "model"), "shards": pattern, "sampling_steps": 1, "batch": 2, "seed": 0} | more
    return draw_shard(shard=shard, out=out, **told)


def test_each_worker_draws_its_own_shard(place, tmp_path):
    counts = [drawn(place, tmp_path / str(shard), shard)["count"] for shard in (0, 1)]
    assert counts == [3, 2]
    names = [sorted(path.stem for path in (tmp_path / str(shard) / "drawn").glob("*.png")) for shard in (0, 1)]
    assert names == [["a", "b", "c"], ["d", "e"]]
    assert drawn(place, tmp_path / "some", 0, limit=1)["count"] == 1


def test_a_killed_worker_goes_on_and_draws_the_same(place, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    drawn(place, whole, 0)
    draw, seen = ablate_shards._draw, []

    def stopped(pipe, source, some, *more):
        if seen:
            raise KeyboardInterrupt
        seen.append(list(some))
        draw(pipe, source, some, *more)

    monkeypatch.setattr(ablate_shards, "_draw", stopped)
    with pytest.raises(KeyboardInterrupt):
        drawn(place, tmp_path / "stopped", 0)
    monkeypatch.setattr(ablate_shards, "_draw", lambda *told: (seen.append(list(told[2])), draw(*told)))
    assert drawn(place, tmp_path / "stopped", 0)["count"] == 3 and seen == [[0, 1], [2]]
    for name in "abc":
        same = [np.asarray(Image.open(out / "drawn" / f"{name}.png")) for out in (whole, tmp_path / "stopped")]
        np.testing.assert_array_equal(*same)
    lines = [json.loads(line) for line in (tmp_path / "stopped" / "lines.jsonl").read_text().splitlines()]
    assert [line["clip"] for line in lines] == ["a", "b", "c"] and {line["label"] for line in lines} == {"dog"}


def test_shares_are_of_what_is_known():
    lines = [
        {"label": "dog", "heard": "dog", "seen": "cat"},
        {"label": "dog", "heard": "cat", "seen": "dog"},
        {"label": "", "heard": "dog", "seen": ""},
        {"label": "bell", "heard": "bell", "seen": ""},
    ]
    figures = summarise_lines(lines)
    assert figures == {"count": 4.0, "heard": pytest.approx(2 / 3), "recognised": 0.5}
    assert np.isnan(summarise_lines([])["heard"])


def test_a_shard_that_is_not_there_is_a_sentence(place, tmp_path):
    with pytest.raises(OptionError, match="Got shard=2 of 2"):
        drawn(place, tmp_path / "none", 2)
    with pytest.raises(OptionError, match="Got shard=0 of 0"):
        drawn(place, tmp_path / "none", 0, shards="")
