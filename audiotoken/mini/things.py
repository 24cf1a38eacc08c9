"""The things of the painted world: one word for each, and which of them have a sound.

The word is the thing's name everywhere: in captions, as label of the audio encoder, as subject of a prompt.
"""

from dataclasses import dataclass

SYNTHETIC = "synthetic"  # instead of a folder of clips: synthesised sounds of the painted world
SYNTHETIC_NAMES = (SYNTHETIC, "made")  # the second until the next release


@dataclass(frozen=True)
class Thing:
    """One kind of thing; `word` is a single word of the mini tokenizer, and its only name in captions."""

    word: str
    phrase: str  # how a caption may say it at length; holds the word
    esc10: str | None = None  # folder of real recordings in ESC-10
    heard: bool = False  # the mini audio encoder knows its sound, real or synthesised


THINGS: tuple[Thing, ...] = (
    Thing("dog", "dog", "dog", True),
    Thing("rooster", "rooster", "rooster", True),
    Thing("baby", "crying baby", "crying_baby", True),
    Thing("clock", "clock", "clock_tick", True),
    Thing("helicopter", "helicopter", "helicopter", True),
    Thing("chainsaw", "chainsaw", "chainsaw", True),
    Thing("fire", "crackling fire", "crackling_fire", True),
    Thing("rain", "rain cloud", "rain", True),
    Thing("wave", "sea wave", "sea_waves", True),
    Thing("person", "sneezing person", "sneezing", True),
    Thing("frog", "frog", heard=True),
    Thing("bird", "bird", heard=True),
    Thing("bell", "bell", heard=True),
    Thing("car", "car", heard=True),
    Thing("train", "train", heard=True),
    Thing("drum", "drum", heard=True),
    Thing("cat", "cat"),
    Thing("cow", "cow"),
    Thing("pig", "pig"),
    Thing("sheep", "sheep"),
    Thing("airplane", "airplane"),
    Thing("guitar", "guitar"),
    Thing("tree", "tree"),
    Thing("house", "house"),
)

WORDS: tuple[str, ...] = tuple(t.word for t in THINGS)
AUDIBLE_WORDS: tuple[str, ...] = tuple(t.word for t in THINGS if t.heard)
WORD_OF_ESC10: dict[str, str] = {t.esc10: t.word for t in THINGS if t.esc10}
BACKDROPS: tuple[str, ...] = (
    *("river", "beach", "street", "meadow", "forest"),
    *("night", "snow", "room", "sky", "city"),
)
