"""What the terms of the loss count, and that each step draws its own dropout."""

from dataclasses import asdict

import pytest
from test_training import LABELS, batches

from audiotoken.debug import debug_pipeline
from audiotoken.objective import LossWeights
from audiotoken.training import Settings, train_embedder


def test_the_terms_count_what_the_paper_says():
    """AudioToken (arXiv 2305.13050), section 3.3: both 0.01; the length is ours and off."""
    paper = {"diffusion": 1.0, "classification": 0.01, "token_l1": 0.01, "token_l2": 0.0}
    assert asdict(LossWeights()) == paper
    reports = []
    train_embedder(debug_pipeline(), batches, LABELS, Settings(steps=1), on_progress=reports.append)
    told = reports[0].losses
    assert told["total"] == pytest.approx(sum(weight * told[name] for name, weight in paper.items()), rel=1e-5)


def test_each_step_draws_its_own_dropout():
    """The same sounds again and again, and nothing learnt: only what is dropped out differs."""
    again, reports = next(batches(0)), []
    settings = Settings(steps=3, learning_rate=0.0)
    train_embedder(debug_pipeline(), lambda start: [again] * 3, LABELS, settings, on_progress=reports.append)
    assert len({report.losses["token_l1"] for report in reports}) == 3
