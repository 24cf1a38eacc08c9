"""Label tokens: the label of a sound replaces `<audio>` in the text, which needs no training.

Articles: a countable subject gets one at the start of the text, after a comma, and after words such as "of": "a photo
of <audio>" -> "a photo of a dog". An "a" or "an" in the text is corrected. After any other word none is added:
"two <audio>", "a wooden <audio>", "the <audio>".
"""

import re
from collections.abc import Sequence

from audiotoken.articles import choose_article as choose_article
from audiotoken.encoders.audioset import find_best_subject
from audiotoken.errors import CheckpointError, PromptError
from audiotoken.placeholder import SOUND

LIKELY = 0.5  # calibrated scores from here on count as recognised


BEFORE_ARTICLE = re.compile(
    "of|with|and|or|beside|by|near|like|under|over|behind|above|below|in|on|at|from|into|to|versus|without|.*,", re.I
)
PLACE = re.compile(rf"(?P<word>\S*?)(?P<space>\s*)(?P<sound>{SOUND.pattern})")


def choose_subject(heard: Sequence[tuple[str, float]]) -> str:
    """Choose the word for the best label that can be drawn, however low its score; `heard` is sorted, best first.

    Raises CheckpointError if the encoder has no class names, PromptError if no label can be drawn.
    """
    if not heard or all(re.fullmatch(r"class \d+", label) for label, _ in heard):
        raise CheckpointError(
            "The audio encoder has no class names, so no label can stand for the sound; "
            "use a fine-tuned encoder with class names, or token=learned with a trained embedder."
        )
    best = find_best_subject(heard)
    if best is None:
        raise PromptError(
            f"Heard {heard[0][0]} {heard[0][1]:.2f}, but none of the encoder's {len(heard)} labels names something "
            "that can be drawn; write what to draw in the prompt, or use token=learned."
        )
    return best[0]


def insert_articles(text: str, subjects: Sequence[str]) -> str:
    """Insert the article of `subjects[i]` before the i-th `<audio>`, by the rules of this module."""
    articles = (choose_article(subject) for subject in subjects)

    def insert_article(match: re.Match) -> str:
        own, word, space, sound = next(articles), match["word"], match["space"], match["sound"]
        if word.lower() in ("a", "an") and space:
            return f"{own.capitalize() if word.istitle() else own}{space}{sound}" if own else sound
        leads = match.start() == 0 if not word else space and BEFORE_ARTICLE.fullmatch(word)
        return f"{word}{space}{own} {sound}" if leads and own else match.group()

    return PLACE.sub(insert_article, text)


def insert_words(text: str, subjects: Sequence[str]) -> str:
    """Replace the i-th `<audio>`, with its weight if it has one, by `subjects[i]`."""
    words = iter(subjects)
    return SOUND.sub(lambda place: next(words), text)


def format_labels(heard: Sequence[tuple[str, float]], most: int = 3) -> str:
    """Format recognised labels, "dog 0.98, bird 0.61", or say that no sound was recognised."""
    if not heard:
        return "the audio encoder has no labels"
    known = [f"{label} {score:.2f}" for label, score in heard[:most] if score >= LIKELY]
    return ", ".join(known) or f"no known sound (nearest: {heard[0][0]} {heard[0][1]:.2f})"
