"""Articles and plurals of what can be drawn; nothing heavy is imported here."""

import re

NO_ARTICLE = re.compile(  # mass nouns, and plurals
    "people|children|feet|hands|teeth|water|rain|hail|snow|wind|thunder|lightning|traffic|machinery|wood|glass|paper|"
    "sandpaper|cutlery|steam|smoke|liquid|poultry|artillery|timpani|music|.*([^su]s)"
)
COUNTABLE = ("person ", "glass of ", "cup of ")  # subjects with this start are countable, whatever their last word
SPOKEN_VOWEL = re.compile(r"(?i:[aeio]|u(?!k|ni|s))|[FHLMNRSX][A-Z]")  # "an owl", "an SLR camera", "a ukulele"

IRREGULAR = {  # ends of nouns; the longer before the shorter
    "human": "humans",
    "person": "people",
    "child": "children",
    "man": "men",
    "foot": "feet",
    "tooth": "teeth",
    "goose": "geese",
    "mouse": "mice",
    "sheep": "sheep",
    "aircraft": "aircraft",
    "wolf": "wolves",
    "leaf": "leaves",
}


def choose_article(subject: str) -> str:
    """Choose "a", "an" or "": "a dog", "an owl", "rain", "keys"."""
    words = re.split(r" (?:in|on|with) ", subject)[0].lower().split()
    uncountable = words[0] in ("people", "children") or NO_ARTICLE.fullmatch(words[-1])
    if uncountable and not subject.startswith(COUNTABLE):
        return ""
    return "an" if SPOKEN_VOWEL.match(subject) else "a"


def make_plural(subject: str) -> str:
    """ "dog" -> "dogs", "crying baby" -> "crying babies", "glass of water" -> "glasses of water"; plurals stay."""
    if not choose_article(subject):
        return subject
    found = re.match(r"person(?= )|.*?(?= (?:of|in|on|with|and) )|.*", subject)
    head = found[0] if found else subject
    *before, noun = re.split(r"(?<= )", head)
    return "".join([*before, _make_noun_plural(noun)]) + subject[len(head) :]


def _make_noun_plural(noun: str) -> str:
    for one, many in IRREGULAR.items():
        if noun.lower().endswith(one):
            return noun[: len(noun) - len(one)] + many
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(?:s|x|z|ch|sh)$", noun) else f"{noun}s"
