"""Who lives in a generated document and what lasts there: the draw from (seed, number)."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import List, Sequence, Tuple, TypeVar

from data.generated_english.lexicon import (
    ANIMALS,
    ATTRACTOR_PREPOSITIONS,
    COLOURS,
    DAYS,
    FOODS,
    HOMES,
    KIN,
    LANDMARKS,
    NAMES,
    PETS,
    PRONOUNS_OF_NAME,
    THINGS,
    TOWNS,
    Pronouns,
)
from data.generated_english.topics import PLURAL, SINGULAR, TOPICS, Activity, Noun, Topic

T = TypeVar("T")

# What a person may have besides a name; each makes rules of the grammar available.
EXTRAS = ("thing", "pet", "home", "food")


class Draw:
    """Random choices that are the same on every Python version and machine.

    Only the 32-bit words of the Mersenne Twister are used, with integer arithmetic of our own.
    """

    def __init__(self, seed: int, index: int) -> None:
        key = hashlib.sha256(f"generated english {seed} {index}".encode("ascii")).digest()
        self._bits = random.Random(int.from_bytes(key[:16], "big")).getrandbits

    def below(self, count: int) -> int:
        """A number in 0 ... count - 1."""
        return (self._bits(32) * count) >> 32

    def choose(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def take(self, items: List[T]) -> T:
        """One of the items, removed from the list."""
        return items.pop(self.below(len(items)))

    def percent(self, chance: int) -> bool:
        """True in `chance` of 100 draws."""
        return self.below(100) < chance


@dataclass(frozen=True)
class Goods:
    """What a person works on: an activity with a fixed object, number and adjective."""

    activity: Activity
    noun: Noun
    number: str
    adjective: str


@dataclass(frozen=True)
class Person:
    """A person with lasting traits; only the traits in `extras` are ever spoken of."""

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
    """All that is fixed for one document.

    Attributes:
        topic: the topic.
        first, second: the two people; their pronouns differ, and so do all their traits.
        kin: what the second is to the first ("sister").
        profession, town, day: of the first person.
        place: (preposition, noun) of the topic.
        fixture: a noun of the topic, `fixture_preposition` goes before it.
        sentences: how many sentences the document has.
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


# Lengths of 4 to 9 sentences, the short ones more often.
_LENGTHS = (4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 6, 6, 6, 7, 7, 8, 9)


def draw_story(draw: Draw) -> Story:
    """Draw the people and what lasts."""
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
        "colour": list(COLOURS),
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
