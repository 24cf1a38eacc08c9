"""The command that measures the model card: what it says of a call that cannot be done, and of one without pictures."""

import sys

import pytest

from experiments.world import measure


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "nowhere/at/all"], "nowhere/at/all"),
        (["--only", "real"], "pass the folder of ESC-10 with --esc10"),
    ],
)
def test_what_cannot_be_measured_ends_with_a_sentence(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["measure", "--out", str(tmp_path / "out"), *options])
    with pytest.raises(SystemExit) as end:
        measure.main()
    told = capsys.readouterr().err
    assert end.value.code == 2 and message in told and told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_figures_of_other_weights_are_not_kept(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(sys, "argv", ["measure", "--out", str(tmp_path), "--only", "speed"])
    monkeypatch.setattr(measure, "measure", lambda args, before: kept.append(before) or before | {"text": {}})
    for weights in ("first", "first", "second"):
        monkeypatch.setattr(measure, "fingerprint", lambda model, weights=weights: weights)
        measure.main()
    assert kept == [{"weights": "first"}, {"weights": "first", "text": {}}, {"weights": "second"}]


def test_speed_alone_has_no_table_of_words():
    assert measure.format_table({"speed": {}}) == ""
    assert "| dog" in measure.format_table({"text": {"dog": {"right": 0.8}}})
