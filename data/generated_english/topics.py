"""The ten topics of the generated English, with their activities, objects, tools and places.

The topics define selection: a verb takes only the objects of its activity, an object takes only
the adjectives of its activity, each activity has one tool, and each topic has its own places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple

SINGULAR = "singular"
PLURAL = "plural"
_VOWELS = "aeiou"


@dataclass(frozen=True)
class Noun:
    """A countable noun with its singular and plural form.

    >>> _noun("berry").form(PLURAL), _noun("bench").plural, _noun("loaf", "loaves").plural
    ('berries', 'benches', 'loaves')
    """

    singular: str
    plural: str

    def form(self, number: str) -> str:
        """Return the form of `number` (`SINGULAR` or `PLURAL`)."""
        return self.singular if number == SINGULAR else self.plural


@dataclass(frozen=True)
class Verb:
    """A verb in the present tense: `base` agrees with plural subjects, `third` with singular ones.

    >>> _verb("carry").form(SINGULAR), _verb("catch").form(SINGULAR), _verb("bake").form(PLURAL)
    ('carries', 'catches', 'bake')
    """

    base: str
    third: str

    def form(self, number: str) -> str:
        """Return the form that agrees with a subject of `number` (`SINGULAR` or `PLURAL`)."""
        return self.third if number == SINGULAR else self.base


@dataclass(frozen=True)
class Activity:
    """An activity of a topic.

    Attributes:
        verb: the verb.
        objects: the nouns that the verb allows as its object.
        adjectives: the adjectives that these nouns allow.
        preposition: the preposition before the tool ("with", "in", "on", "from", ...).
        tool: the noun of the tool.
    """

    verb: Verb
    objects: Tuple[Noun, ...]
    adjectives: Tuple[str, ...]
    preposition: str
    tool: str


@dataclass(frozen=True)
class Topic:
    """A topic with its words.

    Attributes:
        name: the name of the topic.
        professions: nouns for the people who work there.
        places: the places of the work, as (preposition, noun).
        fixtures: nouns that stand between a subject and its verb ("the cooks near the oven bake").
        activities: the activities of the topic.
    """

    name: str
    professions: Tuple[Noun, ...]
    places: Tuple[Tuple[str, str], ...]
    fixtures: Tuple[Noun, ...]
    activities: Tuple[Activity, ...]


def _ending(word: str) -> str:
    """Return the regular plural of a noun, which is also the regular third person of a verb."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in _VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def _noun(singular: str, plural: str = "") -> Noun:
    return Noun(singular, plural or _ending(singular))


def _nouns(text: str) -> Tuple[Noun, ...]:
    """Return the nouns of a list of words; an irregular plural follows its singular and a slash."""
    return tuple(_noun(*word.split("/")) for word in text.split())


def _verb(base: str) -> Verb:
    return Verb(base, _ending(base))


def _do(verb: str, objects: str, adjectives: str, tool: str) -> Activity:
    preposition, noun = tool.split()
    return Activity(_verb(verb), _nouns(objects), tuple(adjectives.split()), preposition, noun)


def _topic(name: str, professions: str, places: str, fixtures: str, *activities: Activity) -> Topic:
    pairs = tuple((place.split()[0], place.split()[1]) for place in places.split(","))
    return Topic(name, _nouns(professions), pairs, _nouns(fixtures), activities)


TOPICS: Tuple[Topic, ...] = (
    _topic(
        "cooking",
        "cook baker",
        "in kitchen, at counter, in pantry",
        "oven stove",
        _do("bake", "pie cake loaf/loaves", "sweet warm", "in tin"),
        _do("peel", "potato/potatoes carrot onion", "raw fresh", "with knife"),
        _do("fry", "egg pancake sausage", "crisp hot", "in pan"),
        _do("rinse", "plate bowl cup", "clean greasy", "with sponge"),
    ),
    _topic(
        "sea",
        "sailor captain",
        "on deck, in harbour, at pier",
        "mast anchor",
        _do("catch", "crab lobster eel", "salty silvery", "with net"),
        _do("mend", "sail flag", "torn huge", "with needle"),
        _do("steer", "ship ferry barge", "swift mighty", "with rudder"),
        _do("fasten", "rope cable chain", "heavy wet", "with hook"),
    ),
    _topic(
        "farm",
        "farmer shepherd",
        "in barn, on meadow, in stable",
        "fence gate",
        _do("milk", "cow goat", "calm hungry", "with pail"),
        _do("feed", "hen pig goose/geese", "noisy young", "from bucket"),
        _do("harvest", "cabbage pumpkin turnip", "ripe round", "with fork"),
        _do("plough", "field acre", "stony wide", "with tractor"),
    ),
    _topic(
        "music",
        "singer drummer",
        "on stage, in hall, at piano",
        "curtain microphone",
        _do("tune", "violin harp guitar", "precious mellow", "with peg"),
        _do("compose", "song waltz hymn", "gentle short", "with quill"),
        _do("polish", "trumpet flute horn", "shiny golden", "with cloth"),
        _do("strike", "drum gong bell", "loud hollow", "with mallet"),
    ),
    _topic(
        "school",
        "teacher pupil",
        "in classroom, at blackboard, in schoolyard",
        "desk globe",
        _do("solve", "riddle sum puzzle", "tricky simple", "with pencil"),
        _do("copy", "poem sentence paragraph", "long famous", "in notebook"),
        _do("draw", "map triangle circle", "neat exact", "with ruler"),
        _do("study", "comet planet star", "distant bright", "through telescope"),
    ),
    _topic(
        "market",
        "merchant grocer",
        "at stall, in square, in arcade",
        "awning banner",
        _do("sell", "melon plum pear", "juicy cheap", "from crate"),
        _do("wrap", "gift candle vase", "delicate pretty", "with ribbon"),
        _do("stack", "box jar barrel", "empty sturdy", "on cart"),
        _do("count", "coin token button", "tiny bronze", "in pouch"),
    ),
    _topic(
        "garden",
        "gardener florist",
        "in greenhouse, on lawn, in orchard",
        "trellis fountain",
        _do("water", "rose tulip lily", "fragrant blooming", "with hose"),
        _do("trim", "hedge bush vine", "thorny dense", "with sickle"),
        _do("sow", "bulb seed bean", "dry healthy", "with trowel"),
        _do("gather", "leaf/leaves twig petal", "fallen withered", "in basket"),
    ),
    _topic(
        "workshop",
        "carpenter smith",
        "in workshop, at workbench, in shed",
        "shelf/shelves furnace",
        _do("saw", "plank beam log", "rough thick", "with blade"),
        _do("forge", "sword nail horseshoe", "iron glowing", "with hammer"),
        _do("carve", "statue toy mask", "smooth curious", "with chisel"),
        _do("repair", "clock lock lantern", "broken rusty", "with wrench"),
    ),
    _topic(
        "winter sport",
        "skier skater",
        "on slope, on rink, in chalet",
        "lift snowdrift",
        _do("wax", "ski sled snowboard", "fast sleek", "with crayon"),
        _do("clear", "trail ramp track", "icy steep", "with shovel"),
        _do("build", "igloo snowman/snowmen tunnel", "frozen tall", "with spade"),
        _do("throw", "snowball puck", "hard powdery", "with glove"),
    ),
    _topic(
        "railway",
        "conductor porter",
        "on platform, at station, in depot",
        "signal turnstile",
        _do("check", "ticket passport voucher", "valid crumpled", "with scanner"),
        _do("load", "trunk parcel suitcase", "bulky fragile", "on trolley"),
        _do("drive", "train locomotive tram", "modern crowded", "with lever"),
        _do("inspect", "rail bridge wagon", "narrow worn", "with lamp"),
    ),
)

ACTIVITY_OF_VERB: Dict[str, Activity] = {
    activity.verb.base: activity for topic in TOPICS for activity in topic.activities
}
