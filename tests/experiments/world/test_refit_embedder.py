"""An embedder is fitted to another encoder's features."""

import torch
from torch.nn import functional as F

from audiotoken.embedder import AudioEmbedder
from experiments.world.training.refit_embedder import distance, fit


def test_tokens_stay_though_the_features_are_in_another_order():
    torch.manual_seed(0)
    embedder = AudioEmbedder(12, 10).eval()
    features = F.relu(torch.randn(4, 1, 12) * 2 + 0.2 * torch.randn(4, 5, 12)).repeat(8, 1, 1)
    with torch.no_grad():
        tokens = embedder(features)
    other = features.flip(-1)
    student = fit(embedder, other, tokens, steps=150, peak=1e-2, batch=16)
    with torch.no_grad():
        before, after = distance(embedder(other), tokens).mean(), distance(student(other), tokens).mean()
        assert torch.equal(embedder(features), tokens)  # the old one stays as it is
    assert after < 0.1 * before
