"""The words of the generated English that belong to no topic, and the list of all its words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Set, Tuple

from data.generated_english.topics import PLURAL, SINGULAR, TOPICS, Verb

_TOKEN = re.compile(r"[A-Za-z]+|'s|[.,]")


@dataclass(frozen=True)
class Pronouns:
    """The forms of a pronoun and the number of its verb.

    The singular "they" takes a plural verb, and its reflexive is "themself".
    """

    subject: str
    object: str
    possessive: str
    reflexive: str
    verb_number: str


SHE = Pronouns("she", "her", "her", "herself", SINGULAR)
HE = Pronouns("he", "him", "his", "himself", SINGULAR)
THEY = Pronouns("they", "them", "their", "themself", PLURAL)
GROUP = Pronouns("they", "them", "their", "themselves", PLURAL)

PRONOUNS_OF_NAME: Dict[str, Pronouns] = {
    **dict.fromkeys("Mira Anna Clara Ida Nora Ella Rosa Vera Lucy Greta Helen June".split(), SHE),
    **dict.fromkeys("Tom Paul Oscar Leo Hugo Karl Ben Felix Ivan Noah Peter Owen".split(), HE),
    **dict.fromkeys("Robin Alex Kim Sasha Quinn Jules".split(), THEY),
}
NAMES: Tuple[str, ...] = tuple(PRONOUNS_OF_NAME)

TOWNS: Tuple[str, ...] = tuple(
    "Easton Millford Norwick Ashdale Brookham Kingsley Redport Stonebury Westholm Yarrow".split()
)
THING_COLOURS: Tuple[str, ...] = tuple("red blue green yellow white black orange purple".split())
THINGS: Tuple[str, ...] = tuple(
    "boat bicycle umbrella hat scarf kite mirror tent drone coat armchair backpack".split()
)
ANIMALS: Tuple[str, ...] = tuple("cat dog parrot rabbit hamster turtle ferret canary".split())
PETS: Tuple[str, ...] = tuple("Momo Biscuit Pepper Rusty Nibbles Shadow Coco Ziggy".split())
HOMES: Tuple[str, ...] = tuple("cottage cabin tower apartment villa bungalow loft mansion".split())
LANDMARKS: Tuple[str, ...] = tuple("river mill castle chapel lake museum well quarry".split())
FOODS: Tuple[str, ...] = tuple("soup rice porridge pudding honey salad pasta curry".split())
DAYS: Tuple[str, ...] = tuple(
    "Mondays Tuesdays Wednesdays Thursdays Fridays Saturdays Sundays".split()
)
KIN: Dict[str, Tuple[str, ...]] = {
    "she": ("sister", "aunt", "cousin", "neighbour"),
    "he": ("brother", "uncle", "cousin", "neighbour"),
    "they": ("cousin", "neighbour"),
}
ATTRACTOR_PREPOSITIONS: Tuple[str, ...] = ("near", "behind", "beside")

PLAIN_VERBS: Dict[str, Verb] = {
    third: Verb(base, third)
    for third, base in (
        pair.split("/")
        for pair in "is/are has/have owns/own lives/live loves/love works/work "
        "thanks/thank helps/help visits/visit follows/follow wants/want calls/call teaches/teach "
        "borrows/borrow agrees/agree sleeps/sleep eats/eat brings/bring admires/admire "
        "sees/see".split()
    )
}

# Words that only the rules in `grammar` and `writer` insert.
FUNCTION_WORDS: Tuple[str, ...] = tuple(
    "a an the this that these those 's . , and but because while when after "
    "as at in near with for from of on to best called some".split()
)
OPENERS: Tuple[str, ...] = tuple("On At The One She He They Her His Their".split())


def tokenize(sentence: str) -> List[str]:
    """Split a generated sentence into words, the possessive "'s" and punctuation.

    >>> tokenize("On Mondays, Mira's cat sleeps.")
    ['On', 'Mondays', ',', 'Mira', "'s", 'cat', 'sleeps', '.']
    """
    return _TOKEN.findall(sentence)


def words() -> Tuple[str, ...]:
    """Return all tokens that `tokenize` can find in generated text, sorted.

    The list has both numbers of every noun and verb, so it also covers sentences whose agreement is
    broken on purpose.
    """
    forms: Set[str] = {*FUNCTION_WORDS, *OPENERS, *NAMES, *TOWNS, *THING_COLOURS, *THINGS, *ANIMALS}
    forms.update((*PETS, *HOMES, *LANDMARKS, *FOODS, *DAYS, *ATTRACTOR_PREPOSITIONS))
    for kin in KIN.values():
        forms.update(kin)
    for pronouns in (SHE, HE, THEY, GROUP):
        forms.update((pronouns.subject, pronouns.possessive, pronouns.object, pronouns.reflexive))
    for verb in PLAIN_VERBS.values():
        forms.update((verb.base, verb.third))
    for topic in TOPICS:
        for noun in (*topic.professions, *topic.fixtures):
            forms.update((noun.singular, noun.plural))
        for preposition, place in topic.places:
            forms.update((preposition, place))
        for activity in topic.activities:
            forms.update((activity.verb.base, activity.verb.third))
            forms.update((activity.preposition, activity.tool, *activity.adjectives))
            for noun in activity.objects:
                forms.update((noun.singular, noun.plural))
    return tuple(sorted(forms))


def article(following: str) -> str:
    """Return the indefinite article before a word of this lexicon, from the word's spelling."""
    return "an" if following[0].lower() in "aeiou" else "a"
