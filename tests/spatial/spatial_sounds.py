"""A sound for several test files."""

import numpy as np

RATE = 22_050


def bursts(seed: int, seconds: float = 3.0, low: float = 0.2, rate: int = RATE) -> np.ndarray:
    """Coloured noise that comes and goes: a voice of its own for each seed."""
    random = np.random.default_rng(seed)
    frames = round(seconds * rate)
    spectrum = np.fft.rfft(random.standard_normal(frames))
    frequencies = np.fft.rfftfreq(frames, 1 / rate)
    centre = random.uniform(500, 2500)
    shaped = np.fft.irfft(spectrum / (1 + ((frequencies - centre) / 900) ** 2), frames)
    gate = np.repeat(random.random(int(np.ceil(seconds / 0.12))) > low, round(0.12 * rate))[:frames]
    smooth = np.convolve(gate, np.hanning(200) / np.hanning(200).sum(), "same")
    signal = shaped * smooth
    return (0.1 * signal / np.sqrt(np.mean(signal**2) + 1e-12)).astype(np.float32)
