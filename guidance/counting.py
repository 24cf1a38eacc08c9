"""How English counts things: numbers in words, plurals of nouns. Captions are written and read with it."""

import re
import unicodedata

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
SAME = (  # the ends of nouns whose plural is the singular
    *("bison", "craft", "deer", "fish", "moose", "offspring", "salmon", "series", "sheep", "shrimp", "species"),
    *("squid", "swine", "trout"),
)
ENDS = (  # of nouns and their plurals, the first that fits
    (r"^(german|roman|norman|ottoman)$", r"\1s"),
    (r"(hu|sha|cai|talis)man$", r"\1mans"),
    (r"person$", "people"),
    (r"child$", "children"),
    (r"man$", "men"),
    (r"foot$", "feet"),
    (r"tooth$", "teeth"),
    (r"mongoose$", "mongooses"),
    (r"goose$", "geese"),
    (r"mouse$", "mice"),
    (r"^louse$", "lice"),
    (r"^ox$", "oxen"),
    (r"^die$", "dice"),
    (r"(kni|wi|li)fe$", r"\1ves"),
    (r"(lea|loa|thie|hal|cal|el|shel|wol|hoo|scar|shea)f$", r"\1ves"),
    (r"(potat|tomat|her|ech|torped|vet|mosquit|buffal|volcan|mang|tornad|carg|domin)o$", r"\1oes"),
    (r"([sx])is$", r"\1es"),  # oasis, axis
    (r"passer(-?)by$", r"passers\1by"),
    (r"(stoma|monar|lo|eunu)ch$", r"\1chs"),
    (r"quiz$", "quizzes"),
    (r"([^aeiou]|qu)y$", r"\1ies"),
    (r"(s|x|z|ch|sh)$", r"\1es"),
)


def make_noun_plural(noun: str) -> str:
    """ "frog" -> "frogs", "Person" -> "People", "SUV" -> "SUVs"; a word of another script than Latin stays."""
    if not re.search(r"[^\W_]$", noun) or not _is_latin(noun):
        return noun
    if noun.lower().endswith(SAME):
        return noun
    if noun.isupper() and len(noun) > 1:
        return f"{noun}s"
    for end, many in ENDS:
        if found := re.search(end, noun, re.I):
            plural = noun[: found.start()] + found.expand(many)
            return plural[:1].upper() + plural[1:] if noun[:1].isupper() else plural
    return f"{noun}s"


def _is_latin(noun: str) -> bool:
    return re.search("[a-z]", unicodedata.normalize("NFKD", noun), re.I) is not None
