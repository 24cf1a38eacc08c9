"""Simulate a stereo clip and locate its sources: the picture in the README.

    python -m experiments.listening_demo --out demo

The clip has a dog on the left, a clock near the middle and a rooster on the right, recorded by an ORTF microphone pair
in a living room. Prints the true and the estimated directions. Takes about ten seconds, mostly for imports.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile

from audiotoken.mini.sounds import synthesise
from audiotoken.tasks.listen import listen_to
from audiotoken.tasks.listening_files import ListeningFiles
from spatial.simulation import simulate

RATE = 44_100
SECONDS = 5.0
SEED = 5
PLACES = {"dog": -48.0, "clock": 8.0, "rooster": 37.0}


def write_clip(path: Path) -> None:
    """Write the clip, made of synthesised sounds only."""
    sounds = {word: synthesise(word, RATE, SECONDS, SEED).astype(float) for word in PLACES}
    signals = {word: 0.1 * sound / np.sqrt(np.mean(sound**2)) for word, sound in sounds.items()}
    recording = simulate([(signals[word], azimuth) for word, azimuth in PLACES.items()], "ortf", rate=RATE, rt60=0.2)
    soundfile.write(path, recording.T, RATE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("demo"))
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    write_clip(folder / "stereo.wav")
    print("truth  " + ", ".join(f"{word} {azimuth:+.0f}°" for word, azimuth in PLACES.items()))
    print(ListeningFiles(plot=folder / "stereo-places.png").write(listen_to(folder / "stereo.wav")))


if __name__ == "__main__":
    main()
