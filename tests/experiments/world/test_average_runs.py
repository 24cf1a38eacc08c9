"""The mean of two runs: each averaged weight is the mean of both, everything else is the later run's."""

import sys
from pathlib import Path

import pytest
import torch

from experiments.world.training import average_runs, workers


def make_state(value: float, decay: float = 0.05, scale: float = 0.5) -> dict:
    weights = {"a": torch.full((2, 3), value), "steps": torch.tensor(int(value))}
    return {"step": int(value), "scale": scale, "emas": [{"decay": decay, "weights": weights}]}


def write_run(folder: Path, value: float) -> Path:
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer" / "vocab.txt").write_text(str(value))
    workers.save_state(make_state(value), folder / "unet.pt")
    return folder


def test_weights_are_the_mean_and_the_rest_is_the_later_run(tmp_path, monkeypatch, capsys):
    runs = [write_run(tmp_path / name, value) for name, value in (("old", 2.0), ("new", 4.0))]
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["average_runs", "--runs", *map(str, runs), "--out", str(out)])
    average_runs.main()
    state = workers.load_state(out / "unet.pt")
    assert state["emas"][0]["weights"]["a"].unique().tolist() == [3.0]
    assert (state["step"], state["emas"][0]["weights"]["steps"].item()) == (4, 4)
    assert (out / "tokenizer" / "vocab.txt").read_text() == "4.0"
    with pytest.raises(SystemExit, match="2"):
        average_runs.main()  # nothing of the user's is overwritten
    assert "give a new folder" in capsys.readouterr().err


@pytest.mark.parametrize("other", [{"decay": 0.1}, {"scale": 0.6}])
def test_runs_that_do_not_belong_together_are_refused(other):
    with pytest.raises(ValueError, match="same start"):
        average_runs.average_states(make_state(1.0), make_state(1.0, **other))
