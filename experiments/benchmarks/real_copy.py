"""A synthetic copy of the sets that `experiments.bench real` scores, in their format, made by our simulator.

    python -m experiments.bench real_copy out=runs/real-copy n=40                     # as the stereo set of DCASE 2025
    python -m experiments.bench real_copy out=runs/foa-copy n=4 kind=foa              # as STARSS23
    python -m experiments.bench real_copy out=runs/real-copy sounds=ESC10 folds=[4]   # with real sounds

It tests the benchmark of the real sets, not the listener: the rooms are simulated. A bell and a drum are of the classes
Bell and Musical instrument, and the mini encoder knows them; other sounds stand in for classes that it cannot name.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pyroomacoustics as pra
import soundfile
from pyroomacoustics.directivities import CardioidFamily, DirectionVector
from scipy.signal import fftconvolve

from audiotoken.errors import OptionError
from audiotoken.writing import cannot_write, write_bytes
from experiments.benchmarks.real_data import CLASSES, CLIP_SECONDS, HOP, SETUP, Row, write_rows
from experiments.benchmarks.real_sounds import Signal, Sound, find_sounds
from spatial.activity import find_active_spans
from spatial.rooms import Room, draw_room
from spatial.simulation import simulation

RATE = 24_000  # Hz, as of STARSS23
SPLIT = "dev-test-copy"
RT60 = (0.2, 0.35)  # seconds; image sources of longer ones take minutes
SWEEP = 30.0  # degrees that a moving source travels
MOST = 3  # sources of a recording
LOUDNESS = 0.05  # root mean square of a sound while it is active
STAND_INS = {  # word -> the class whose place it takes
    "bell": "Bell",
    "drum": "Musical instrument",
    "baby": "Laughter",
    "chainsaw": "Domestic sounds",
    "clock": "Knock",
    "dog": "Male speech, man speaking",
    "person": "Female speech, woman speaking",
    "rain": "Water tap, faucet",
}


def make_copy(
    *,
    out: str,
    n: int = 40,
    kind: str = "stereo",
    sounds: str = "mini",
    folds: Sequence[int] = (4,),
    seed: int = 0,
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Write `n` recordings of 1 to 3 sources in rooms, 5 s of stereo or 20 s of Ambisonics; returns what was written.

    `kind`: stereo or foa; `sounds`: mini's synthesised ones, or a folder with the classes of ESC-10, of which the
    `folds` are used. One source in four of a stereo recording moves. Raises OptionError for invalid options.
    """
    if kind not in ("stereo", "foa"):
        raise OptionError(f"Got kind={kind}, expected stereo or foa; change it.")
    if n < 1:
        raise OptionError(f"Got n={n}, expected 1 or more recordings; change it.")
    words, sound = find_sounds(sounds, folds, STAND_INS, RATE, MOST)
    folder = Path(out)
    for number in range(n):
        random = np.random.default_rng([seed, number])
        render = _render_stereo if kind == "stereo" else _render_ambisonic
        samples, rows = render(random, words, sound)
        name = f"fold4_room{number % 9}_mix{number:03}"
        if kind == "stereo":
            name += "_deg000_start0000"
        recording, metadata = (folder / each / SPLIT for each in (f"{kind}_dev", "metadata_dev"))
        try:
            recording.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(recording, error) from None
        file = BytesIO()
        soundfile.write(file, samples.T, RATE, format="WAV", subtype="PCM_16")
        write_bytes(file.getvalue(), recording / f"{name}.wav")
        write = write_rows if kind == "stereo" else _write_ambisonic_rows
        write(rows, metadata / f"{name}.csv")
        if on_row:
            on_row(f"{number + 1}/{n}  {name}")
    return f"Wrote {n} recordings and their metadata to {folder}."


def _draw_sources(
    random: np.random.Generator, words: Sequence[str], sound: Sound, seconds: float
) -> list[tuple[str, Signal]]:
    """(word, signal of that many seconds) of 1 to 3 sources, each of which sounds for a part of the time."""
    chosen = random.choice(words, size=random.integers(1, MOST + 1), replace=False)
    out = []
    for word in chosen:
        lasts = random.uniform(0.3, 0.9) * seconds
        start = round(random.uniform(0, seconds - lasts) * RATE)
        event = sound(str(word), lasts, int(random.integers(1 << 30)))[: round(lasts * RATE)]
        signal = np.zeros(round(seconds * RATE))
        signal[start : start + len(event)] = event * LOUDNESS / (np.sqrt(np.mean(event**2)) + 1e-12)
        out.append((str(word), signal))
    return out


def _make_rows(word: str, source: int, signal: Signal, path: Sequence[tuple[float, float]]) -> list[Row]:
    """A row for each frame in whose middle the dry sound is active; path: (seconds, azimuth)."""
    kind, spans = list(CLASSES).index(STAND_INS[word]), find_active_spans(signal, RATE)
    times, azimuths = np.array(path).T
    middles = [(frame, (frame + 0.5) * HOP) for frame in range(round(len(signal) / RATE / HOP))]
    return [
        Row(frame, kind, source, float(np.interp(time, times, azimuths)), 1.5)
        for frame, time in middles
        if any(start <= time < stop for start, stop in spans)
    ]


def _render_stereo(random: np.random.Generator, words: Sequence[str], sound: Sound) -> tuple[Signal, list[Row]]:
    """((2, frames), rows): the front half of a room by `SETUP`."""
    placed, rows = [], list[Row]()
    drawn = _draw_sources(random, words, sound, CLIP_SECONDS)
    starts = _draw_azimuths(random, len(drawn), -80, 80)
    for source, ((word, signal), start) in enumerate(zip(drawn, starts, strict=True)):
        stop = start - np.sign(start) * SWEEP if random.random() < 0.25 else start
        path = [(0.0, start), (CLIP_SECONDS, stop)]
        placed.append((signal, path))
        rows += _make_rows(word, source, signal, path)
    made = simulation(
        placed, SETUP, rate=RATE, rt60=random.uniform(*RT60), snr=random.uniform(20, 40), seed=int(random.integers(999))
    )
    return 0.9 * made.recording, rows


def _draw_azimuths(random: np.random.Generator, count: int, low: float, high: float) -> list[float]:
    """At least 15 degrees apart."""
    while True:
        azimuths = random.uniform(low, high, count)
        if (np.diff(np.sort(azimuths)) >= 15).all():
            return [float(each) for each in azimuths]


def _render_ambisonic(random: np.random.Generator, words: Sequence[str], sound: Sound) -> tuple[Signal, list[Row]]:
    """((4, frames), rows) of 20 s: an Ambisonic microphone in a room, with sources all around it that stand still."""
    room = draw_room(SETUP, random.uniform(*RT60), random)
    room = replace(room, centre=room.size * [0.5, 0.5, 0.5])
    drawn = _draw_sources(random, words, sound, 4 * CLIP_SECONDS)
    mixed, rows = np.zeros((4, round(4 * CLIP_SECONDS * RATE))), list[Row]()
    for source, ((word, signal), azimuth) in enumerate(
        zip(drawn, _draw_azimuths(random, len(drawn), -180, 165), strict=True)
    ):
        responses = respond_ambisonic(room, azimuth, distance=1.5)
        mixed += np.stack([fftconvolve(signal, taps)[: mixed.shape[1]] for taps in responses])
        rows += _make_rows(word, source, signal, [(0.0, azimuth)])
    return 0.4 * mixed / max(np.abs(mixed).max(), 1e-12), rows


def respond_ambisonic(room: Room, azimuth: float, distance: float) -> Signal:
    """Responses (4, taps) W, Y, Z, X of an ideal microphone to a source at that azimuth, positive right."""
    box = pra.ShoeBox(room.size, fs=RATE, materials=pra.Material(room.absorption), max_order=room.order)
    box.add_source(room.point(azimuth, distance))
    # of pyroomacoustics: azimuths from x, which is to the right in a room, to y, which is ahead; 0 degrees up is z
    looks = [(180.0, 90.0), (0.0, 0.0), (90.0, 90.0)]  # left, up, ahead
    figures = [CardioidFamily(DirectionVector(azimuth=a, colatitude=c, degrees=True), p=0.0) for a, c in looks]
    omni = CardioidFamily(DirectionVector(azimuth=0.0, colatitude=90.0, degrees=True), p=1.0)
    places = np.tile(room.centre[:, None], (1, 4))
    box.add_microphone_array(pra.MicrophoneArray(places, RATE, directivity=[omni, *figures]))
    box.compute_rir()
    taps = [box.rir[channel][0] for channel in range(4)]
    return np.stack([np.pad(each, (0, max(map(len, taps)) - len(each))) for each in taps])


def _write_ambisonic_rows(rows: Sequence[Row], path: Path) -> None:
    """As STARSS23 has them: no head line, and an elevation."""
    ordered = sorted(rows, key=lambda row: (row.frame, row.kind, row.source))
    lines = [
        f"{row.frame},{row.kind},{row.source},{round(-row.azimuth)},0,{round(100 * row.distance)}" for row in ordered
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes("".join(f"{line}\n" for line in lines).encode(), path)
