"""Makers of small files for the tests of sources: videos whose colour and tone tell the second, sounds, pictures."""

import io
import tarfile
from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image

VIDEO_RATE = 16_000


def tone_of(second: int) -> float:
    """Hz; each second of a made video has its own, an octave and more apart in the right channel."""
    return 300.0 + 100 * second


def colour_of(second: int) -> tuple[int, int, int]:
    """Each second of a made video has its own; red rises, blue falls."""
    return 15 + 20 * (second % 12), 60, 240 - 20 * (second % 12)


def write_video(
    path: Path, seconds: int = 4, size: tuple[int, int] = (64, 48), sound: bool = True, picture: bool = True, turn=0
) -> Path:
    """Ten pictures a second with one key frame in 50; left channel `tone_of` the second, right twice that, softer."""
    with av.open(str(path), "w") as container:
        film = container.add_stream("libx264" if path.suffix != ".webm" else "libvpx", rate=10) if picture else None
        if film is not None:
            film.width, film.height, film.pix_fmt = *size, "yuv420p"
            film.codec_context.gop_size = 50
            if turn:
                film.set_display_rotation(turn)
        codec = "aac" if path.suffix != ".webm" else "libopus"
        track = container.add_stream(codec, rate=48_000 if codec == "libopus" else VIDEO_RATE) if sound else None
        if track is not None:
            track.layout = "stereo"
        for tenth in range(10 * seconds):
            if film is not None:
                pixels = np.full((size[1], size[0], 3), colour_of(tenth // 10), np.uint8)
                pixels[: size[1] // 4, : size[0] // 4] = 255  # top left, so that turns show
                container.mux(film.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
            if track is not None:
                container.mux(track.encode(_tenth(tenth, track.rate)))
        for stream in filter(None, (film, track)):
            container.mux(stream.encode())
    return path


def _tenth(tenth: int, rate: int) -> av.AudioFrame:
    at = (np.arange(rate // 10) + tenth * rate // 10) / rate
    left = 0.5 * np.sin(2 * np.pi * tone_of(tenth // 10) * at)
    right = 0.2 * np.sin(2 * np.pi * 2 * tone_of(tenth // 10) * at)
    frame = av.AudioFrame.from_ndarray(np.stack([left, right]).astype(np.float32), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = rate, tenth * rate // 10
    return frame


def pitch(signal: np.ndarray, rate: int) -> float:
    """Hz of the strongest tone."""
    power = np.abs(np.fft.rfft(signal * np.hanning(len(signal))))
    return float(np.argmax(power) * rate / len(signal))


def second_of(image: Image.Image) -> int:
    """Which second of a made video a frame is from."""
    red, _, blue = np.asarray(image)[-4:, -4:].reshape(-1, 3).mean(0)
    return min(range(12), key=lambda s: abs(colour_of(s)[0] - red) + abs(colour_of(s)[2] - blue))


def sound_bytes(hertz: float = 440.0, rate: int = 8000, frames: int = 2000) -> bytes:
    """A stereo WAV, right softer than left."""
    wave = np.sin(2 * np.pi * hertz * np.arange(frames) / rate)
    out = io.BytesIO()
    soundfile.write(out, np.stack([0.5 * wave, 0.25 * wave], 1), rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def picture_bytes(colour: str = "red", size: tuple[int, int] = (12, 8), kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


def write_pair(folder: Path, stem: str, colour: str = "red", sound: str = ".wav", picture: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}{sound}").write_bytes(sound_bytes())
    (folder / f"{stem}{picture}").write_bytes(picture_bytes(colour))


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path
