"""The random content of a generated document: its people, their traits, and its setting."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import List, Sequence, Tuple, TypeVar

from data.generated_english.lexicon import (
    ANIMALS,
    ATTRACTOR_PREPOSITIONS,
    DAYS,
    FOODS,
    HOMES,
    KIN,
    LANDMARKS,
    NAMES,
    PETS,
    PRONOUNS_OF_NAME,
    THING_COLOURS,
    THINGS,
    TOWNS,
    Pronouns,
)
from data.generated_english.topics import PLURAL, SINGULAR, TOPICS, Activity, Noun, Topic

_T = TypeVar("_T")

# What a person may have in addition to a name. Each makes some rules of the grammar available.
EXTRAS = ("thing", "pet", "home", "food")


class Draw:
    """A source of random choices that are the same on every Python version and machine.

    It uses only the 32-bit outputs of the Mersenne Twister and integer arithmetic, since the
    methods of `random.Random` may change between Python versions.
    """

    def __init__(self, seed: int, index: int) -> None:
        key = hashlib.sha256(f"generated english {seed} {index}".encode("ascii")).digest()
        self._bits = random.Random(int.from_bytes(key[:16], "big")).getrandbits

    def below(self, count: int) -> int:
        """Return a number in 0 ... count - 1."""
        return (self._bits(32) * count) >> 32

    def choose(self, items: Sequence[_T]) -> _T:
        """Return one of the items."""
        return items[self.below(len(items))]

    def take(self, items: List[_T]) -> _T:
        """Remove one of the items from the list and return it."""
        return items.pop(self.below(len(items)))

    def percent(self, chance: int) -> bool:
        """Return True with a probability of `chance` percent."""
        return self.below(100) < chance


@dataclass(frozen=True)
class Goods:
    """The object of a person's work: an activity with a fixed object, number and adjective."""

    activity: Activity
    noun: Noun
    number: str
    adjective: str


@dataclass(frozen=True)
class Person:
    """A person with traits; the document mentions only the traits in `extras`."""

    name: str
    pronouns: Pronouns
    extras: Tuple[str, ...]
    thing: str
    colour: str
    pet: str
    animal: str
    home: str
    landmark: str
    food: str
    goods: Goods


@dataclass(frozen=True)
class Story:
    """The content of one document.

    Attributes:
        topic: the topic.
        first, second: the two people; their pronouns and all their traits differ.
        kin: the relation of the second person to the first ("sister").
        profession, town, day: attributes of the first person.
        place: (preposition, noun), a place of the topic.
        fixture: a noun of the topic that stands between a subject and its verb.
        fixture_preposition: the preposition before `fixture`.
        sentences: number of sentences in the document.
    """

    topic: Topic
    first: Person
    second: Person
    kin: str
    profession: Noun
    town: str
    day: str
    place: Tuple[str, str]
    fixture: Noun
    fixture_preposition: str
    sentences: int


# Documents have 4 to 9 sentences; short ones are more frequent.
_LENGTHS = (4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 6, 6, 6, 7, 7, 8, 9)


def draw_story(draw: Draw) -> Story:
    """Draw the people and the setting of a document."""
    topic = draw.choose(TOPICS)
    name = draw.choose(NAMES)
    others = [n for n in NAMES if PRONOUNS_OF_NAME[n].subject != PRONOUNS_OF_NAME[name].subject]
    other = draw.choose(others)
    extras = list(EXTRAS)
    first_extras = (draw.take(extras), draw.take(extras))
    second_extras = (draw.choose(EXTRAS),)
    activities = list(topic.activities)
    stock = {
        "thing": list(THINGS),
        "colour": list(THING_COLOURS),
        "pet": list(PETS),
        "animal": list(ANIMALS),
        "home": list(HOMES),
        "landmark": list(LANDMARKS),
        "food": list(FOODS),
    }

    def person(who: str, has: Tuple[str, ...]) -> Person:
        activity = draw.take(activities)
        number = draw.choose((SINGULAR, PLURAL))
        goods = Goods(
            activity, draw.choose(activity.objects), number, draw.choose(activity.adjectives)
        )
        traits = {trait: draw.take(values) for trait, values in stock.items()}
        return Person(who, PRONOUNS_OF_NAME[who], has, goods=goods, **traits)

    return Story(
        topic=topic,
        first=person(name, first_extras),
        second=person(other, second_extras),
        kin=draw.choose(KIN[PRONOUNS_OF_NAME[other].subject]),
        profession=draw.choose(topic.professions),
        town=draw.choose(TOWNS),
        day=draw.choose(DAYS),
        place=draw.choose(topic.places),
        fixture=draw.choose(topic.fixtures),
        fixture_preposition=draw.choose(ATTRACTOR_PREPOSITIONS),
        sentences=draw.choose(_LENGTHS),
    )
