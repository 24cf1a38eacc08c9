"""ComfyUI's AUDIO -> a recording, and signals -> AUDIO."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.errors import AudioError

SECONDS = 60.0  # of a longer recording that are heard
HALF = np.float32(np.sqrt(0.5))  # -3 dB
# channels of a recording -> weights of (left, right): ITU-R BS.775 without the low-frequency channel, in the order of
# WAV files and FFmpeg: front left, front right, centre, low frequencies, back or side left and right, further pairs
DOWNMIXES = {
    6: [(1, 0), (0, 1), (HALF, HALF), (0, 0), (HALF, 0), (0, HALF)],
    8: [(1, 0), (0, 1), (HALF, HALF), (0, 0), (HALF, 0), (0, HALF), (HALF, 0), (0, HALF)],
}
Recording = NDArray[np.float32]


def read_audio(audio: Any) -> tuple[Recording, int, tuple[str, ...]]:
    """(recording (1 or 2, frames), rate in Hz, notes about what was not heard) of ComfyUI's AUDIO.

    Of a batch the first recording is heard, of a long one the first minute; 5.1 and 7.1 are mixed down to stereo.
    AudioError for what is no AUDIO, and for other numbers of channels.
    """
    try:
        waveform, rate = audio["waveform"], int(audio["sample_rate"])
    except (TypeError, KeyError, ValueError, IndexError):
        raise AudioError(
            f"Got {type(audio).__name__} as audio, expected AUDIO with a waveform and a sample_rate; "
            "connect Load Audio, and check that the file has sound."
        ) from None
    batch = _to_numpy(waveform)
    if batch.ndim != 3 or not batch.size:
        raise AudioError(f"Got a waveform of shape {batch.shape}, expected (batch, channels, frames); reshape it.")
    if rate <= 0:
        raise AudioError(f"Got a sample rate of {rate} Hz, expected one above 0; pass the recording's.")
    notes = []
    if len(batch) > 1:
        notes.append(f"Got {len(batch)} recordings in a batch; the first was heard.")
    recording, mixed = _mix_down(batch[0])
    frames = int(SECONDS * rate)
    if recording.shape[1] > frames:
        notes.append(f"The recording lasts {recording.shape[1] / rate:.0f} s; its first {SECONDS:.0f} s were heard.")
    return np.ascontiguousarray(recording[:, :frames]), rate, (*notes, *mixed)


def make_audio(sound: NDArray, rate: int) -> dict[str, Any]:
    """AUDIO of a signal (frames,) or a recording (channels, frames)."""
    import torch

    waveform = np.ascontiguousarray(np.atleast_2d(sound), dtype=np.float32)
    return {"waveform": torch.from_numpy(waveform)[None], "sample_rate": rate}


def _to_numpy(waveform: Any) -> NDArray[np.float32]:
    if hasattr(waveform, "detach"):  # torch, on any device and of any precision
        waveform = waveform.detach().cpu().float().numpy()
    return np.asarray(waveform, np.float32)


def _mix_down(recording: Recording) -> tuple[Recording, tuple[str, ...]]:
    """(1 or 2, frames), and a note if there were more channels."""
    channels = len(recording)
    if channels <= 2:
        return recording, ()
    if channels not in DOWNMIXES:
        raise AudioError(
            f"Got {channels} channels, expected 1, 2, 6 (5.1) or 8 (7.1); mix the recording down to stereo first."
        )
    mixed = np.array(DOWNMIXES[channels], np.float32).T @ recording
    return mixed, (f"Got {channels} channels; they were mixed down to stereo.",)
