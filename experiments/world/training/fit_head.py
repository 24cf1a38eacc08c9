"""Fit the head of `spatial.setups`: interaural level and time differences, the middle of measured heads.

    python -m experiments.world.training.fit_head KEMAR.sofa CIPIC.sofa KU100.sofa

Prints the rows of `spatial.setups.HEAD`: the median over the heads at each azimuth. It suits an unknown head better
than each of these heads does.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.world.training.responses import RATE, Head, read_head

CENTRES = (125, 250, 500, 750, 1000, 1250, 1500, 2000, 2500, 3000, 4000, 5000, 6500, 8000, 10000, 12500)
HIGHEST_DELAY = 5000  # Hz above which the delay stays as it is
POINTS = 4096


def measure_head(head: Head) -> tuple[NDArray, NDArray, NDArray]:
    """(azimuths in radians, level differences in dB, delays in seconds), (azimuths, bands), in the horizontal plane.

    Positive: the right ear is louder, and earlier.
    """
    level = np.abs(head.directions[:, 2]) < 0.05
    front = level & (head.directions[:, 1] >= -1e-6)
    azimuths = np.arctan2(head.directions[front, 0], head.directions[front, 1])
    frequencies = np.fft.rfftfreq(POINTS, 1 / RATE)
    left, right = np.moveaxis(np.fft.rfft(head.responses[front], POINTS, axis=2), 1, 0)
    cross = right * left.conj()
    step = np.angle(cross[:, 1:] * cross[:, :-1].conj())
    phase = np.concatenate([np.zeros((len(azimuths), 1)), np.cumsum(step, axis=1)], axis=1)
    low = (frequencies > 100) & (frequencies < 400)
    turns = np.rint(((phase - np.angle(cross))[:, low] / (2 * np.pi)).mean(axis=1))
    phase = phase - 2 * np.pi * turns[:, None]
    levels, delays = [], []
    for centre in CENTRES:
        band = (frequencies > centre / 2 ** (1 / 6)) & (frequencies < centre * 2 ** (1 / 6))
        power = [np.square(np.abs(one[:, band])).sum(axis=1) for one in (left, right)]
        levels.append(10 * np.log10(power[1] / power[0]))
        delays.append((phase[:, band] / (2 * np.pi * frequencies[band])).mean(axis=1))
    return azimuths, np.stack(levels, axis=1), np.stack(delays, axis=1)


def fit_waves(azimuths: NDArray, values: NDArray) -> NDArray:
    """(3, bands): the weights of sin(a), sin(2a), sin(3a) that fit the values (azimuths, bands)."""
    waves = np.stack([np.sin(k * azimuths) for k in (1, 2, 3)], axis=1)
    return np.linalg.lstsq(waves, values, rcond=None)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("heads", nargs="+", type=Path, help="SOFA files")
    fits = []
    for path in parser.parse_args().heads:
        azimuths, levels, delays = measure_head(read_head(path))
        fits.append(np.concatenate([fit_waves(azimuths, levels), 1e6 * fit_waves(azimuths, delays)]))
    grid = np.deg2rad(np.arange(-90, 91, 2.0))
    waves = np.stack([np.sin(k * grid) for k in (1, 2, 3)], axis=1)
    values = np.median([np.stack([waves @ fit[:3], waves @ fit[3:]]) for fit in fits], axis=0)
    middle = np.concatenate([fit_waves(grid, each) for each in values]).T
    last = middle[CENTRES.index(HIGHEST_DELAY), 3:]
    for centre, row in zip(CENTRES, middle, strict=True):
        delay = row[3:] if centre <= HIGHEST_DELAY else last
        print(f"({centre}, {', '.join(f'{x:.1f}' for x in row[:3])}, {', '.join(f'{x:.0f}' for x in delay)}),")


if __name__ == "__main__":
    main()
