"""Articles of what can be drawn, and what is counted in its name; nothing heavy is imported here.

English has no rule without exceptions: below are those of sounds, animals, instruments and things that make a noise.
"""

import re
import unicodedata


def collect(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


DETERMINERS = collect(  # what stands for an article already: "two frogs", "the sea"
    """
    a all an another any both each eight eleven every few five four her his its many most my nine no one our seven
    several six some ten that the their these this those three twelve twenty two your
    anybody's anyone's everybody's everyone's nobody's one's somebody's someone's
    """
)
MASS = collect(  # nouns that are not counted: "rain on the left"
    """
    air applause artillery asphalt bacon baggage beer birdsong blood bread butter cardboard chaos cheese chess cloth
    clothing coal coffee concrete cotton cutlery dirt dust electricity equipment fabric feedback flour foam fog
    foliage food fruit fur furniture garbage glass gold grain grass gravel gunfire hail hair hay heat ice ivory
    jewellery jewelry karaoke laughter lava leather lightning liquid litter luggage lumber machinery magma marble
    meat metal milk mist money moonlight mud music noise oil paper percussion petrol plastic popcorn porridge
    poultry rain rice rubber rubbish salt sand sandpaper scenery seaweed silence silverware slush smoke snow soap
    soil speech starlight static steam steel straw sugar sunlight sunshine surf tea tennis thunder traffic
    vegetation vinyl water weather wildlife wind wine wood wool
    """
)
COUNTED = re.compile(  # what is counted though its last word is not
    r"(?:wine|water|beer|champagne|cocktail|drinking|magnifying|looking|shot) glass"
)
PLURALS = collect(  # that do not end as plurals do
    """
    bacteria bikinis cattle dice emus feet folk geese gnus graffiti gurus kiwis lice menus mice oxen police safaris
    skis taxis teeth timpani tsunamis
    """
)
SINGULARS = collect(  # that end as plurals do
    """
    alias atlas bias canvas chaos christmas cosmos cyclops gas lens mercedes pancreas rhinoceros series species
    texas triceratops
    """
)
PLURAL_ENDS = re.compile(r"(?:[^ius]s|children|people|^men|(?:camera|fire|fisher|police|sales|sports|wo|work)men)$")
NOUNS_ON_ING = collect(  # at the end of a name no participle: "a church building", but "a dog barking"
    """
    being building ceiling clothing crossing darling drawing dressing duckling dumpling dwelling earring evening
    flooring gosling herring inning king lightning lining lodging meeting morning nestling opening outing painting
    pudding railing recording rigging ring saying seedling setting sibling siding sing sling spring starling
    sterling sting string swing thing vending viking wedding wing wiring yearling
    """
)
AGENTS = collect(  # before a word on -ing: who does it, "a person chopping wood", but "an old sewing machine"
    """
    audience baby bear bell bird boy car cat child choir clock cow crowd dog duck engine frog girl horse kid lion
    man monkey owl person phone pig plane rain robot snow thunder toddler train truck water wind wolf woman
    """
)
LINKS = collect("at behind by for from in inside near of on over to under with")  # the head noun stands before these
SPOKEN_VOWEL = re.compile(
    r"8|1[18](?!\d)"  # eight, eleven, eighteen
    r"|hour|honest|honou?r|heir"  # a silent h
    r"|(?!eu|ewe|one(?!\w)|once|ouija|u(?:ni(?!n|m|den)|k(?:u|el)|s[aeu]|t[eio]|biq|ra|ri))[aeiou]",
    re.I,
)
SPELT = re.compile(r"[A-Z](?=[A-Z]+s?(?!\w))|[A-Z](?=[-.&\d])|[A-Z](?!\w)")  # SUV, X-ray, F-16: letter by letter
SPOKEN_AS_WORDS = re.compile(r"(?:NATO|NASA|LEGO|LASER|RADAR|SONAR|SCUBA|SWAT|MIDI|FIFA|RAF)\b")
VOWEL_LETTERS = frozenset("AEFHILMNORSX")


def choose_article(subject: str) -> str:
    """Choose "a", "an" or "": "a dog", "an owl", "rain", "keys", "a pair of scissors", "two dogs"."""
    words = subject.split()
    head = find_head(subject)
    if is_determined(subject) or not words or not _has_letters(head):
        return ""
    noun = _fold(head.split()[-1])
    activity = len(words) == 1 and _is_participle(noun)  # "typing"
    counted = subject[len(head) :].startswith(" of ") or COUNTED.search(_fold(head))  # "a glass of water"
    if is_plural(noun) or activity or (noun in MASS and not counted):
        return ""
    return "an" if _starts_with_vowel(subject) else "a"


def is_determined(subject: str) -> bool:
    """Whether it begins with an article, a number or the like: "two frogs", "the sea", "3 dogs", "Tom's dog"."""
    first, *more = subject.replace("’", "'").split() or [""]
    return bool(more) and (first.lower() in DETERMINERS or first.isdecimal() or begins_with_owner(subject))


def begins_with_owner(subject: str) -> bool:
    """Whether its first word is a name that owns what follows: "Tom's dog", but not "Children's choir"."""
    owner = re.match(r"(\S+)['’]s\s", subject)
    if owner is None or not owner[1][0].isupper() or f"{owner[1]}'s".lower() in DETERMINERS:
        return False
    low = owner[1].lower()
    return low not in AGENTS and (not is_plural(low) or low.endswith("s"))  # "Charles's"


def is_plural(noun: str) -> bool:
    """Whether a noun is one of several, "keys", "mice", "firemen", or has no singular, "scissors"."""
    return noun in PLURALS or (noun not in SINGULARS and PLURAL_ENDS.search(noun) is not None)


def find_head(subject: str) -> str:
    """The part up to the noun that is counted: "glass" of "glass of water", "person" of "person talking"."""
    words = list(re.finditer(r"\S+", subject))
    for number, (word, after) in enumerate(zip(words, [*words[1:], None], strict=True)):
        last, text = after is None, _fold(word[0])
        before = _fold(words[number - 1][0])
        if number and (text in LINKS or (_is_participle(text) and (last or _is_agent(before)))):
            return subject[: words[number - 1].end()]
        if number and text == "and" and len(words) - number == 2:  # "bow and arrow", but "rock and roll band"
            return subject[: words[number - 1].end()]
    return subject.rstrip()


def _is_participle(word: str) -> bool:
    """Whether it may say what a thing does: "dog barking"."""
    return word not in NOUNS_ON_ING and re.fullmatch(r"[a-z]{2,}ing", word) is not None


def _is_agent(noun: str) -> bool:
    """Whether a participle after it is about it: "person chopping wood", but "old sewing machine"."""
    return noun in AGENTS or is_plural(noun) or re.search(r"(?:man|woman|person|[glnc]er)$", noun) is not None


def _starts_with_vowel(subject: str) -> bool:
    """Whether the first word begins with a vowel when it is spoken: owl, hour, SUV, but not unicorn."""
    first = next((word for word in re.findall(r"\w[\w.&'’-]*", subject)), "")
    if SPELT.match(first) and not SPOKEN_AS_WORDS.match(first):
        return first[0] in VOWEL_LETTERS
    return SPOKEN_VOWEL.match(_fold(first)) is not None


def _has_letters(text: str) -> bool:
    return re.search(r"[a-z]", _fold(text)) is not None


def _fold(word: str) -> str:
    """In small letters and without accents: "Écureuil" -> "ecureuil"; other scripts stay as they are."""
    return "".join(each for each in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(each))
