"""An embedder is fitted to another encoder's features."""

import torch
from torch.nn import functional as F

from audiotoken.embedder import AudioEmbedder
from experiments.world.training.refit_embedder import compute_distance, fit_embedder


def test_tokens_stay_though_the_features_are_in_another_order():
    torch.manual_seed(0)
    embedder = AudioEmbedder(12, 10).eval()
    features = F.relu(torch.randn(4, 1, 12) * 2 + 0.2 * torch.randn(4, 5, 12)).repeat(8, 1, 1)
    with torch.no_grad():
        tokens = embedder(features)
    other = features.flip(-1)
    student = fit_embedder(embedder, other, tokens, steps=150, peak=1e-2, batch=16)
    with torch.no_grad():
        before, after = (
            compute_distance(embedder(other), tokens).mean(),
            compute_distance(student(other), tokens).mean(),
        )
        assert torch.equal(embedder(features), tokens)  # the old one stays as it is
    assert after < 0.1 * before
