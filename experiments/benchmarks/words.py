"""Listening for words beside separating first and naming then: of each word, is it there, and where?

    python -m experiments.bench words n=40
    python -m experiments.bench words n=40 sounds=ESC10 folds=[4]

Scenes of two and three sounds in simulated rooms, and the same words for all systems: those of the sounds and two that
are not there. `separate` finds sources, separates them, scores each signal and matches words with sources, as a plan
does with a prompt; `words` listens for the words in the recording alone; `both` is `audiotoken listen --words`
(`audiotoken.stereo.word_listening`). All get the sources that `listen` finds without being told anything, and the mini
encoder's scores.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiotoken.encoders.load_words import load_word_listener
from audiotoken.encoders.mini_network import MiniNetwork
from audiotoken.encoders.mini_words import MiniWords
from audiotoken.errors import OptionError
from audiotoken.mini.things import AUDIBLE_WORDS
from audiotoken.stereo.joint_names import to_evidence
from audiotoken.stereo.naming import to_waveform
from audiotoken.stereo.word_listening import (
    compare_words,
    listen_for_words,
    locate_words,
    score_words,
)
from audiotoken.stereo.words import FAINT, compare_labels, match_words
from audiotoken.tables import markdown_table
from audiotoken.writing import cannot_write, write_bytes
from experiments.benchmarks.real_sounds import Sound, find_sounds
from spatial.listening import listen
from spatial.scene import Scene
from spatial.simulation import simulate

RATE, SECONDS = 16_000, 4.0
SETUPS = ("ortf", "xy", "spaced", "binaural")
WIDEST, APART = 60.0, 25.0  # degrees
NEAR = 20.0  # degrees of error within which a word is placed
ABSENT = 2  # words that are not there
LOUDNESS = 0.05  # root mean square of a sound
SYSTEMS = ("separate", "words", "both")

Similarity = NDArray[np.float64]  # (sources, words)


@dataclass(frozen=True)
class WordScene:
    """A recording, its words with their azimuths, and words that are not in it."""

    recording: NDArray[np.float32]
    places: dict[str, float]
    absent: list[str]


@dataclass
class Tally:
    """One system on scenes of one number of sounds."""

    placed: list[bool] = field(default_factory=list)  # of each word that is there: heard within `NEAR`
    heard: list[bool] = field(default_factory=list)  # of each word that is there
    invented: list[bool] = field(default_factory=list)  # of each word that is not: heard all the same


def bench_words(
    *,
    n: int = 40,
    counts: Sequence[int] = (2, 3),
    sounds: str = "mini",
    folds: Sequence[int] = (4,),
    rt60: float = 0.3,
    seed: int = 5000,
    out: str = "runs/bench-words",
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Measure `n` scenes for each number of sounds in `counts` and write table.md to `out`; returns the table.

    `sounds`: mini's synthesised ones, or a folder with the classes of ESC-10, of which the `folds` are used; `rt60`:
    seconds, 0 for no rooms. Raises OptionError for invalid options.
    """
    if n < 1 or not counts or not set(counts) <= {2, 3, 4}:
        raise OptionError(f"Got n={n} and counts={list(counts)}, expected 1 or more scenes of 2 to 4; change them.")
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(Path(out), error) from None
    words = AUDIBLE_WORDS if sounds == "mini" else sorted(AUDIBLE_WORDS)
    known, make_sound = find_sounds(sounds, folds, words, RATE, max(counts) + ABSENT)
    encoder = load_word_listener("mini", known)
    assert isinstance(encoder, MiniWords)
    tallies = {(count, system): Tally() for count in counts for system in SYSTEMS}
    for count in counts:
        for number in range(n):
            made = make_scene(count, seed + number, rt60, make_sound, known)
            score_scene(made, encoder.network, {system: tallies[count, system] for system in SYSTEMS})
            if on_row:
                on_row(f"{count} sounds  {number + 1}/{n}")
    text = format_tallies(tallies)
    write_bytes(text.encode(), Path(out) / "table.md")
    return text


def make_scene(count: int, seed: int, rt60: float, make_sound: Sound, known: Sequence[str]) -> WordScene:
    """The scene of that seed: `count` of the `known` words, at least 25 degrees apart, by one of `SETUPS`."""
    random = np.random.default_rng([count, seed])
    words = [str(word) for word in random.choice(known, count + ABSENT, replace=False)]
    while True:
        azimuths = random.uniform(-WIDEST, WIDEST, count)
        if (np.diff(np.sort(azimuths)) >= APART).all():
            break
    signals = [make_sound(word, SECONDS, seed) for word in words[:count]]
    levelled = [LOUDNESS * signal / (np.sqrt(np.mean(signal**2)) + 1e-12) for signal in signals]
    placed = [(signal, float(azimuth)) for signal, azimuth in zip(levelled, azimuths, strict=True)]
    setup = str(random.choice(SETUPS))
    recording = simulate(placed, setup, rate=RATE, rt60=rt60 or None, snr=30.0, seed=seed)
    return WordScene(
        recording, {word: azimuth for word, (_, azimuth) in zip(words, placed, strict=False)}, words[count:]
    )


def score_scene(made: WordScene, network: MiniNetwork, tallies: dict[str, Tally]) -> None:
    """Add the answers of all systems, by the mini encoder's network, to their tallies."""
    listener = MiniWords(network, [*made.places, *made.absent])
    scene = listen(made.recording, RATE)
    answers = {
        "separate": match_azimuths(scene, listener, compare_separated(scene, listener)),
        "words": listen_to_recording(scene, listener),
        "both": {one.word: one.azimuth or 0.0 for one in listen_for_words(scene, listener) if one.heard},
    }
    for system, azimuths in answers.items():
        tally = tallies[system]
        for word, azimuth in made.places.items():
            tally.heard.append(word in azimuths)
            tally.placed.append(abs(azimuths.get(word, np.inf) - azimuth) <= NEAR)
        tally.invented += [word in azimuths for word in made.absent]


def match_azimuths(scene: Scene, listener: MiniWords, similarity: Similarity) -> dict[str, float]:
    """The azimuth of the source of each word that has one."""
    return {
        listener.words[pair.token]: scene.azimuths[pair.source]
        for pair in match_words(similarity)
        if pair.token is not None and pair.source is not None
    }


def listen_to_recording(scene: Scene, listener: MiniWords) -> dict[str, float]:
    """The azimuth of each word that is heard, without a separated signal."""
    recording = scene.sum_images()
    if recording is None:
        return {}
    scores, moments = score_words(recording, scene.rate, listener)
    grid, votes = locate_words(scene, recording, listener, moments)
    alone = {
        word: float(grid[row.argmax()])
        for word, score, row in zip(listener.words, scores, votes, strict=True)
        if to_evidence(score) >= FAINT
    }
    return alone | match_azimuths(scene, listener, compare_words(scene, scores, grid, votes))


def compare_separated(scene: Scene, listener: MiniWords) -> Similarity:
    """(sources, words): each separated signal's scores of all labels, as a plan compares them with a prompt."""
    heard = []
    for source in scene.sources:
        scores = listener.network.probabilities(to_waveform(source.signal, scene.rate, listener))[0].tolist()
        heard.append(sorted(zip(listener.network.labels, scores, strict=True), key=lambda pair: -pair[1]))
    return compare_labels(list(listener.words), heard)


def format_tallies(tallies: dict[tuple[int, str], Tally]) -> str:
    """A Markdown table, a line for each number of sounds and system."""
    heads = ["sounds", "system", "heard, %", f"heard within {NEAR:.0f}°, %", "absent word heard, %", "F, %"]
    rows = []
    for (count, system), tally in tallies.items():
        right = sum(tally.placed)
        wrong, missed = sum(tally.heard) - right + sum(tally.invented), len(tally.placed) - right
        f = 2 * right / max(2 * right + wrong + missed, 1)
        shares = [float(np.mean(each)) for each in (tally.heard, tally.placed, tally.invented)]
        rows.append([str(count), system, *(f"{100 * share:.0f}" for share in (*shares, f))])
    return markdown_table(heads, rows, "llr") + "\n"
