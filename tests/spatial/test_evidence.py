import numpy as np

from spatial.evidence import gather, steering_distance
from spatial.setups import make_setup
from spatial.simulation import simulate

RATE = 24_000
SETUP = make_setup("spaced")


def test_bins_of_an_echo_are_left_out_before_those_of_its_sound() -> None:
    rng, length = np.random.default_rng(0), round(0.03 * RATE)
    sound, echo = np.zeros((2, 4 * RATE))
    for start in (np.arange(0.1, 3.8, 0.38) * RATE).astype(int):
        burst = 0.1 * rng.standard_normal(length) * np.hanning(length)
        later = start + round(0.05 * RATE)
        sound[start : start + length] += burst
        echo[later : later + length] += 0.8 * burst
    evidence = gather(simulate([(sound, -30.0), (echo, 40.0)], SETUP, rate=RATE), RATE, most=5000)
    distances = steering_distance(evidence, SETUP, np.array([-30, 40], np.float32))
    nearer, sure = distances.argmin(axis=1), distances.min(axis=1) < 0.05
    assert 0 < (sure & (nearer == 1)).sum() < 0.21 * (sure & (nearer == 0)).sum()
