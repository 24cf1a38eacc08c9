"""Label tokens: the name of what was heard takes the place of `<audio>`, so that nothing needs to be trained.

The article: where the text lets one follow (at its start, after a comma, after such a word as "of") a
countable subject brings its own, "a photo of <audio>" -> "a photo of a dog"; an "a" or "an" already there becomes the
right one; after any other word none is added: "two <audio>", "a wooden <audio>", "the <audio>".
"""

import re
from collections.abc import Sequence

from audiotoken.encoders.audioset import find_best_subject
from audiotoken.errors import CheckpointError, PromptError
from audiotoken.placeholder import SOUND

LIKELY = 0.5  # a calibrated score below it means "rather not"


LEADS = re.compile(
    "of|with|and|or|beside|by|near|like|under|over|behind|above|below|in|on|at|from|into|to|versus|without|.*,", re.I
)
BARE = re.compile(  # what is not counted, and plurals without an s
    "people|children|feet|hands|teeth|water|rain|hail|snow|wind|thunder|lightning|traffic|machinery|wood|glass|paper|"
    "sandpaper|cutlery|steam|smoke|liquid|poultry|artillery|timpani|music|.*([^su]s)"
)
COUNTED = ("person ", "glass of ", "cup of ")  # subjects that begin so are counted, whatever their last word is
PLACE = re.compile(rf"(?P<word>\S*?)(?P<space>\s*)(?P<sound>{SOUND.pattern})")
SPOKEN_VOWEL = re.compile(r"(?i:[aeio]|u(?!k|ni|s))|[FHLMNRSX][A-Z]")  # "an owl", "an SLR camera", "a ukulele"


def choose_subject(heard: Sequence[tuple[str, float]]) -> str:
    """(label, score), best first -> the word of the best label that can be drawn, however low its score.

    CheckpointError when the encoder names no sounds, PromptError when none of its names can be drawn.
    """
    if not heard or all(re.fullmatch(r"class \d+", label) for label, _ in heard):
        raise CheckpointError(
            "The audio encoder has no class names, so no label can stand for the sound; "
            "use a fine-tuned encoder with names, or token=learned with a trained embedder."
        )
    best = find_best_subject(heard)
    if best is None:
        raise PromptError(
            f"Heard {heard[0][0]} {heard[0][1]:.2f}, but none of the encoder's {len(heard)} labels names something "
            "that can be drawn; write what to draw in the prompt, or use token=learned."
        )
    return best[0]


def choose_article(subject: str) -> str:
    """ "a", "an", or "" where none fits: "a dog", "an owl", "rain", "keys"."""
    words = re.split(r" (?:in|on|with) ", subject)[0].lower().split()
    many = words[0] in ("people", "children") or BARE.fullmatch(words[-1])
    if many and not subject.startswith(COUNTED):
        return ""
    return "an" if SPOKEN_VOWEL.match(subject) else "a"


def insert_articles(text: str, subjects: Sequence[str]) -> str:
    """`text` with the article of `subjects[i]` before its i-th `<audio>`, where one fits; see above."""
    articles = (choose_article(subject) for subject in subjects)

    def place(match: re.Match) -> str:
        own, word, space, sound = next(articles), match["word"], match["space"], match["sound"]
        if word.lower() in ("a", "an") and space:
            return f"{own.capitalize() if word.istitle() else own}{space}{sound}" if own else sound
        leads = match.start() == 0 if not word else space and LEADS.fullmatch(word)
        return f"{word}{space}{own} {sound}" if leads and own else match.group()

    return PLACE.sub(place, text)


def insert_words(text: str, subjects: Sequence[str]) -> str:
    """`text` with `subjects[i]` in the place of its i-th `<audio>` and of the weight that one may have."""
    words = iter(subjects)
    return SOUND.sub(lambda place: next(words), text)


def format_labels(heard: Sequence[tuple[str, float]], most: int = 3) -> str:
    """In words: "dog 0.98, bird 0.61", or that it is none of the sounds the encoder knows."""
    if not heard:
        return "the audio encoder names no sounds"
    known = [f"{label} {score:.2f}" for label, score in heard[:most] if score >= LIKELY]
    return ", ".join(known) or f"none of the sounds I know (nearest: {heard[0][0]} {heard[0][1]:.2f})"
