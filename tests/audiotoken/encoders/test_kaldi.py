"""Our filter banks are Kaldi's: torchaudio's frozen numbers, and torchaudio itself where it loads."""

import math

import pytest
import torch
from paths import ROOT
from safetensors.torch import load_file
from transformers.audio_utils import mel_filter_bank

from audiotoken.encoders.kaldi import fbank, mel_filters, povey, window_width
from audiotoken.wav2clip import spectrogram

RATE = 16_000
HANN = torch.hann_window(400, periodic=False)


@pytest.fixture(scope="module")
def reference():
    return load_file(ROOT / "tests/reference/kaldi.safetensors")


def close(found: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> None:
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max()) < tolerance


def test_the_front_ends_of_beats_and_ast(reference):
    wave = reference["waveform"]
    close(fbank(wave * 2**15, RATE, 128, povey(400)), reference["beats"], 1e-3)
    close(fbank(wave, RATE, 128, HANN), reference["ast"], 1e-3)
    close(fbank(wave, RATE, 64, HANN), reference["ast_64_bins"], 1e-3)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("clap_slaney", {"norm": "slaney", "mel_scale": "slaney"}), ("clap_htk", {"mel_scale": "htk"})],
)
def test_the_mel_bins_of_clap(reference, name, kind):
    bins = torch.from_numpy(mel_filter_bank(513, 64, 50.0, 14_000.0, 48_000, **kind)).float()
    wanted = reference[name]
    close(bins, wanted, 1e-4 * float(wanted.max()))


def test_the_front_end_of_wav2clip(reference):
    power = torch.log(reference["power_512_353"] + 1e-7)
    close(spectrogram(reference["waveform"][None])[0, 0], (power - power.mean()) / (power.std() + 1e-9), 1e-4)


def test_torchaudio_itself(reference):
    try:
        from torchaudio.compliance import kaldi
    except Exception as error:  # a binary of another torch fails in any way
        pytest.skip(f"torchaudio does not load here: {type(error).__name__}")
    wave = reference["waveform"][None]
    theirs = kaldi.fbank(wave, num_mel_bins=128, sample_frequency=RATE, window_type="hanning")
    close(fbank(wave[0], RATE, 128, HANN), theirs, 1e-3)


def test_a_tone_is_loudest_in_the_bin_whose_triangle_holds_it():
    wave = torch.sin(2 * torch.pi * 1234 * torch.arange(RATE) / RATE)
    mel = [1127 * math.log(1 + f / 700) for f in (20, 1234, RATE / 2)]
    centre = (mel[1] - mel[0]) / (mel[2] - mel[0]) * 65 - 1
    assert abs(int(fbank(wave, RATE, 64, HANN).mean(0).argmax()) - centre) < 1


def test_frames_are_whole_windows():
    for samples, frames in ((0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16_000, 98)):
        assert fbank(torch.zeros(samples), RATE, 128, HANN).shape == (frames, 128)


def test_silence_is_the_floor_and_an_offset_is_silence():
    floor = math.log(torch.finfo(torch.float32).eps)
    assert torch.equal(fbank(torch.zeros(800), RATE, 128, HANN), torch.full((3, 128), floor))
    assert torch.equal(fbank(torch.full((800,), 0.5), RATE, 128, HANN), torch.full((3, 128), floor))


def test_twice_the_amplitude_is_four_times_the_energy(reference):
    wave = reference["waveform"][:2000]
    close(fbank(2 * wave, RATE, 40, HANN) - fbank(wave, RATE, 40, HANN), torch.full((11, 40), math.log(4)), 1e-3)


def test_filters_at_other_rates():
    filters = mel_filters(8_000, 40, 256)
    assert filters.shape == (40, 129) and float(filters.min()) == 0 and 0.5 < float(filters.max()) <= 1
    assert filters[:, -1].abs().max() == 0 and window_width(8_000) == 200


def test_a_window_of_another_length_is_refused():
    with pytest.raises(ValueError, match="expected 400 samples"):
        fbank(torch.zeros(800), RATE, 128, torch.hann_window(512))
