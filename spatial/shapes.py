"""What is known of a thing before it is drawn: how wide it usually is for its height, and whether it flies.

A box taller than its thing is filled with a second one, and a bird whose box stands on the ground is drawn badly.
Aspects are those of usual side views, rounded, and nearer to 1 than the widest: what side is drawn is not known.
"""

import re
from dataclasses import dataclass

from spatial.errors import SpatialError

NARROWEST, WIDEST = 0.2, 5.0  # aspects
FLYING = 0.65  # lift of what flies: below the upper edge, its middle above the horizon

_ASPECTS = {  # width / height
    0.6: "man woman child boy girl human owl bottle lamp tower waterfall",
    0.7: "person people guitar violin cello fiddle harp tree clock speech",
    0.85: "fire flame campfire bell fountain",
    1.2: "dog frog bird duck goose horse donkey cow cattle pig sheep goat lion tiger tractor piano printer",
    1.4: "helicopter bicycle bike motorcycle motorbike scooter drill train tram locomotive trumpet turtle",
    1.5: "airplane aeroplane plane aircraft jet chainsaw saw boat ship ferry submarine whale",
    1.7: "car taxi truck lorry bus van ambulance vehicle engine snake crocodile keyboard",
}
_FLYING = (
    "airplane aeroplane plane aircraft jet helicopter drone rocket balloon kite bird crow pigeon dove gull seagull "
    "eagle hawk sparrow swallow parrot owl bat bee wasp mosquito fly insect butterfly rain cloud thunder "
    "thunderstorm lightning firework fireworks"
)
ASPECTS = {word: aspect for aspect, words in _ASPECTS.items() for word in words.split()}
LIFTS = dict.fromkeys(_FLYING.split(), FLYING)


@dataclass(frozen=True)
class Shape:
    """aspect: width / height. lift: 0 stands on the ground, 1 touches the upper edge."""

    aspect: float = 1.0
    lift: float = 0.0

    def __post_init__(self) -> None:
        if not NARROWEST <= self.aspect <= WIDEST:
            raise SpatialError(
                f"Got aspect={self.aspect:g}, expected {NARROWEST:g} to {WIDEST:g}, width / height; change it."
            )
        if not 0 <= self.lift <= 1:
            raise SpatialError(
                f"Got lift={self.lift:g}, expected 0 (on the ground) to 1 (at the upper edge); change it."
            )


SQUARE = Shape()


def find_shape(name: str | None) -> Shape:
    """The usual shape of what a word or label names, by the last word that is known: "crying babies", "fire engine".

    A square on the ground for None and for everything else.
    """
    words = [_singular(word) for word in reversed(re.findall(r"[a-z]+", (name or "").lower()))]
    known = next((word for word in words if word in ASPECTS or word in LIFTS), "")
    return Shape(ASPECTS.get(known, 1.0), LIFTS.get(known, 0.0))


def _singular(word: str) -> str:
    """The word as the tables have it: cars -> car, buses -> bus."""
    forms = (word, word.removesuffix("s"), word.removesuffix("es"))
    return next((form for form in forms if form in ASPECTS or form in LIFTS), word)
