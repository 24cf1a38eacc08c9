"""The test for unknown sounds: what counts as known in rooms, and copying it from another encoder."""

import sys

import numpy as np
import pytest
import torch

from audiotoken.encoders.mini import MiniEncoder
from audiotoken.mini.things import AUDIBLE_WORDS
from audiotoken.unknown import Familiarity, load_familiarity
from experiments.world.training import fit_unknown
from experiments.world.training.audio_mels import Rendered


def test_a_wrong_name_in_a_room_counts_as_unknown(monkeypatch):
    """A stem named right, one named wrongly, a mixture and another thing, which have no name to be right about."""
    scores = np.zeros((4, len(AUDIBLE_WORDS)))
    scores[0, 3], scores[1, 5], scores[2, 3] = 9.0, 4.0, 9.0
    monkeypatch.setattr(fit_unknown, "compute_rendered_logits", lambda model, held: scores)
    classes = np.array([[3, 1, -1], [1, 3, -1], [3, 1, -1], [-1, 1, -1]], np.int8)
    facts = [{"kind": kind} for kind in ("stem", "stem", "mixture", "image")]
    held = Rendered(np.empty(0), np.empty(0), classes, np.array([0, 0, -1, 0], np.int8), facts)
    found = fit_unknown.measure_rendered(MiniEncoder(labels=AUDIBLE_WORDS), held)
    assert found.stems == pytest.approx([np.log(np.exp(9) + 15)]) and found.images == []
    assert found.wrong == pytest.approx([np.log(np.exp(4) + 15)])
    assert found.without == pytest.approx([np.log(15), np.log(np.exp(4) + 14)])


def test_separated_sounds_have_a_threshold_of_their_own():
    """Of 100 known sounds the 5 with the least energy are given up, and so of 100 stems, which have less."""
    known, unknown, stems = np.arange(100.0), np.arange(-100.0, 0.0), np.arange(-50.0, 50.0)
    found = fit_unknown.fit_familiarity(known, unknown, list(stems))
    assert [sum(map(found.knows, known)), sum(found.knows(each, separated=True) for each in stems)] == [95, 95]
    assert fit_unknown.fit_familiarity(known, unknown).separated is None


def test_the_test_of_another_encoder_is_copied(tmp_path, monkeypatch):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir(), other.mkdir()
    Familiarity(1.25, -2.5, 0.75).save(one)
    monkeypatch.setattr(sys, "argv", ["fit_unknown", "--model", str(other), "--like", str(one)])
    fit_unknown.main()
    assert load_familiarity(other) == Familiarity(1.25, -2.5, 0.75)
    (one / "unknown.json").unlink()
    with pytest.raises(SystemExit, match=r"expected a folder with unknown\.json"):
        fit_unknown.main()


def test_more_centres_leave_what_is_heard_as_it_is():
    from experiments.world.training.calibrate_audio import copy_with_origins

    torch.manual_seed(0)
    model = MiniEncoder(labels=("dog", "rain"), width=8, mels=32, channels=(4, 4, 4, 4, 4)).eval()
    wave = 0.1 * torch.randn(1, 16000)
    with torch.inference_mode():
        torch.testing.assert_close(copy_with_origins(model, 3).features(wave), model.features(wave))
    assert copy_with_origins(model, 3).centres.shape == (2, 3, 8)
