"""The second branch of the mini encoder: what it is given is what YAMNet hears, and embedders do not notice it."""

import numpy as np
import pytest
import torch

from audiotoken.encoders.mini import MiniEncoder
from audiotoken.encoders.mini_network import MelSpectrogram, load_network, normalise
from audiotoken.encoders.mobile_trunk import BANDS, HIGH, LEAST, LOW, Rebanded

RATE, PLAIN, MOBILE = 16000, (4, 6, 8, 8, 12), (3, 4, 4, 5, 6, 6, 8)


def build(**options) -> MiniEncoder:
    torch.manual_seed(0)
    return MiniEncoder(labels=("dog", "rain", "bell"), width=12, mels=128, **options).eval()


@pytest.fixture(scope="module")
def both() -> MiniEncoder:
    """Its second branch is as loud as the first, which random weights in many layers are not."""
    model = build(channels=PLAIN, mobile=MOBILE)
    with torch.no_grad():
        for weights in model.second.parameters():
            weights.mul_(3.0 if weights.ndim > 1 else 1.0)
    return model


def make_sound(kind: str) -> torch.Tensor:
    time, random = torch.arange(RATE) / RATE, torch.Generator().manual_seed(0)
    noise = torch.randn(RATE, generator=random)
    chord = sum(torch.sin(2 * torch.pi * hertz * time) for hertz in (310, 1730, 5200)) * (0.2 + time)
    return {"noise": 0.1 * noise, "chord": 0.3 * chord + 0.003 * noise}[kind]


def compute_yamnet_input(wave: torch.Tensor) -> torch.Tensor:
    """Log of the magnitudes of 25 ms in 64 HTK mel bands, as the card of YAMNet says; (columns, bands)."""
    magnitude = torch.fft.rfft(wave.unfold(-1, 400, 160) * torch.hann_window(400), n=512).abs()
    edges = 2595 * np.log10(1 + np.array([LOW, HIGH]) / 700)
    edges = np.linspace(*edges, BANDS + 2)
    bins = 2595 * np.log10(1 + np.arange(257) * RATE / 512 / 700)
    shape = [np.interp(bins, edges[k : k + 3], [0, 1, 0]) for k in range(BANDS)]
    return torch.log(magnitude @ torch.tensor(np.array(shape).T, dtype=torch.float32) + LEAST)


@pytest.mark.parametrize("kind", ["noise", "chord"])
def test_the_second_branch_is_given_what_yamnet_hears(kind):
    """From 128 bands of power, within 3 dB on average once the level is that of the loudest moment at -6 dB."""
    wave, spectrogram = make_sound(kind), MelSpectrogram(RATE, 128)
    decibels = spectrogram(wave[None])
    level = 10 * torch.log10((10 ** (decibels / 10)).mean(-1).amax())
    wanted = compute_yamnet_input(wave * 10 ** ((-6 - level.item()) / 20))
    given = Rebanded(spectrogram.triangles, RATE, 100.0)(normalise(decibels)[:, None])[0, 0]
    error = (given[: len(wanted)] - wanted) * 20 / np.log(10)
    assert error.abs().mean() < 3 and wanted.std() > 0.3
    assert (given[: len(wanted)].mean(0).argmax() - wanted.mean(0).argmax()).abs() <= 1


@pytest.mark.parametrize("columns", [48, 63, 64, 175, 176, 177, 298])
def test_both_branches_have_a_vector_for_the_same_moments(both, columns):
    features = both.embed(torch.randn(2, columns, 128))
    assert features.shape == (2, (columns + 1) // 16, 24) and both.depth == 24 and both.width == 12


def test_embedders_see_the_first_branch_only(both):
    wave = 0.1 * torch.randn(1, 30000, generator=torch.Generator().manual_seed(1))
    plain = build(channels=PLAIN)
    plain.load_state_dict(
        {k: v for k, v in both.state_dict().items() if k in plain.state_dict()} | keep_calibration(plain)
    )
    with torch.inference_mode():
        torch.testing.assert_close(both.features(wave), plain.features(wave), atol=0, rtol=0)
        changed = build(channels=PLAIN, mobile=MOBILE)
        changed.load_state_dict(both.state_dict())
        changed.second.project[0].weight.mul_(3)
        torch.testing.assert_close(changed.features(wave), both.features(wave), atol=0, rtol=0)
        assert (changed.probabilities(wave) - both.probabilities(wave)).abs().max() > 1e-4


def keep_calibration(model: MiniEncoder) -> dict[str, torch.Tensor]:
    return {
        name: value
        for name, value in model.state_dict().items()
        if name.split(".")[0] in ("head", "whitening", "centres")
    }


def test_an_encoder_of_the_second_kind_alone():
    alone = build(channels=(), mobile=MOBILE)
    assert alone.second is None and alone.depth == alone.width == 12
    assert alone.features(0.1 * torch.randn(1, 16000)).shape == (1, 6, 12)


def test_both_branches_are_saved_and_read(both, tmp_path):
    both.save_pretrained(tmp_path)
    wave = 0.1 * torch.randn(1, 24000, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        for loaded in (MiniEncoder.from_pretrained(tmp_path).eval(), load_network(tmp_path)):
            torch.testing.assert_close(loaded.probabilities(wave), both.probabilities(wave), atol=1e-6, rtol=0)
        half = MiniEncoder.from_pretrained(tmp_path, torch_dtype=torch.float16).eval()
        torch.testing.assert_close(half.probabilities(wave).float(), both.probabilities(wave), atol=0.01, rtol=0)


def test_what_raises_a_score_is_known_in_silence_too(both):
    """The saliency of a class is a gradient: the logarithm and the root of nothing must have one."""
    inputs = torch.zeros(1, 64, 128).requires_grad_(True)  # -40 dB; the bands below are silent
    both.pool(both.score(both.embed(torch.cat([inputs[..., :64], inputs[..., 64:] - 2], -1))))[0, 0].backward()
    assert inputs.grad is not None and torch.isfinite(inputs.grad).all() and inputs.grad.abs().max() > 0
