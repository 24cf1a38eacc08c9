"""Makes kaldi.safetensors: torchaudio's filter banks, and log-mel bins, of a seeded sound.

pip install torch==2.11.0 torchaudio==2.11.0 && python tests/reference/kaldi.py
"""

from pathlib import Path

import torch
import torchaudio
from safetensors.torch import save_file
from torchaudio.compliance.kaldi import fbank
from torchaudio.functional import melscale_fbanks
from torchaudio.transforms import Spectrogram


def sound(samples: int = 8123, rate: int = 16_000) -> torch.Tensor:
    """Noise, a falling tone, silence, and an offset: (1, samples) in [-1, 1]."""
    time = torch.arange(samples, dtype=torch.float64) / rate
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(14), dtype=torch.float64)
    wave = 0.2 * torch.sin(2 * torch.pi * (3000 - 2000 * time) * time) + 0.05 * noise + 0.01
    wave[3000:4500] = 0
    return wave.float()[None]


def main() -> None:
    wave = sound()
    shared = {"num_mel_bins": 128, "sample_frequency": 16_000}
    numbers = {
        "waveform": wave[0],
        "beats": fbank(wave * 2**15, **shared),
        "ast": fbank(wave, window_type="hanning", **shared),
        "ast_64_bins": fbank(wave, window_type="hanning", **(shared | {"num_mel_bins": 64})),
        "clap_slaney": melscale_fbanks(513, 50.0, 14_000.0, 64, 48_000, norm="slaney", mel_scale="slaney"),
        "clap_htk": melscale_fbanks(513, 50.0, 14_000.0, 64, 48_000, mel_scale="htk"),
        "power_512_353": Spectrogram(n_fft=512, hop_length=353)(wave)[0],
    }
    metadata = {"maker": f"torchaudio {torchaudio.__version__}, torch {torch.__version__}"}
    save_file({k: v.contiguous() for k, v in numbers.items()}, Path(__file__).with_suffix(".safetensors"), metadata)


if __name__ == "__main__":
    main()
