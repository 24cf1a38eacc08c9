"""Where a text mentions a word: whole, in any case, in scripts with and without spaces between words."""

import re
import unicodedata

# scripts that write words without spaces between them, by the beginning of their letters' Unicode names
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "JAVANESE")
JOINERS = "\u200c\u200d"  # stand inside words of Persian and Hindi, and inside emoji
MARKS = "".join(chr(each) for each in range(0x300, 0x3100) if unicodedata.category(chr(each)).startswith("M"))
LETTERS = rf"[^\W\d_](?:[^\W\d_]|[{MARKS}{JOINERS}])*"  # a pattern; vowels of Hindi and points of Arabic are marks


def find_whole_words(text: str, word: str) -> list[tuple[int, int]]:
    """(start, end) of each mention of a word, or of several consecutive words, in characters.

    "car" stands in "a car" and "a Car!", not in "scarf"; 狗 stands in 一只狗和, as Chinese has no spaces.
    """
    pattern = r"\s+".join(map(re.escape, word.split()))
    hits = [hit.span() for hit in re.finditer(pattern, text, re.I)] if pattern else []
    return [(start, end) for start, end in hits if not _goes_on(text, start) and not _goes_on(text, end)]


def _goes_on(text: str, at: int) -> bool:
    """Whether a word goes on from the character before `at` to the one at it."""
    if not 0 < at < len(text):
        return False
    return all(_is_spaced_letter(each) or each in JOINERS for each in text[at - 1 : at + 1])


def _is_spaced_letter(character: str) -> bool:
    """A letter, digit or accent of a script with spaces between words."""
    if not (character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")):
        return False
    return not unicodedata.name(character, "").startswith(UNSPACED)
