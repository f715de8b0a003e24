"""The generated tasks on sentence pairs: entailment, coreference and similarity."""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from data.generated_english.corpus import document
from data.generated_english.lexicon import (
    ANIMALS,
    DAYS,
    FOODS,
    HOMES,
    LANDMARKS,
    NAMES,
    PRONOUNS_OF_NAME,
    THING_COLOURS,
    THINGS,
    TOWNS,
    article,
)
from data.generated_english.story import Draw
from data.generated_english.topics import PLURAL, SINGULAR, TOPICS, Activity, Topic
from data.generated_english.truth import GeneratedDocument, Mention, Sentence

SLOTS = ("day", "person", "adjective", "object", "place")
"""What two sentences of the similarity task may have in common; each adds 1 to the score."""


class Candidate(NamedTuple):
    """A candidate for an example of a generated task.

    Attributes:
        texts: one or two sentences.
        label: the label, 0.0 or 1.0; a score of 0.0 to 5.0 for similarity.
        is_positive: whether the example counts as positive in a balanced split.
        origin: how the example was made.
    """

    texts: Tuple[str, ...]
    label: float
    is_positive: bool
    origin: str


# --- entailment

_PROFESSIONS = tuple(noun.singular for topic in TOPICS for noun in topic.professions)
VALUES: Dict[str, Sequence[str]] = {
    "profession": _PROFESSIONS,
    "town": TOWNS,
    "owns": THINGS,
    "colour": THING_COLOURS,
    "animal": ANIMALS,
    "home": HOMES,
    "landmark": LANDMARKS,
    "food": FOODS,
}
"""The relations that hypotheses are about, with all their values."""


def hypothesis(subject: str, relation: str, value: str) -> str:
    """Return a fact as a sentence.

    >>> hypothesis("Mira's boat", "colour", "red")
    "Mira's boat is red."
    """
    a = f"{article(value)} {value}"
    return {
        "profession": f"{subject} is {a}.",
        "town": f"{subject} is from {value}.",
        "owns": f"{subject} owns {a}.",
        "colour": f"{subject} is {value}.",
        "animal": f"{subject} is {a}.",
        "home": f"{subject} lives in {a}.",
        "landmark": f"{subject} is near the {value}.",
        "food": f"{subject} loves {value}.",
    }[relation]


def stated(story: GeneratedDocument, sentence: Sentence) -> List[Tuple[str, str, str]]:
    """Return the facts that a sentence states by itself, as (subject, relation, value).

    The sentence must name the subject (or its owner) and state the relation explicitly. "The cook
    from Easton" states nothing about Mira, a person who receives soup need not love it, and a
    person who works in a town need not be from there.
    """
    found = []
    for subject, relation in sentence.facts:
        fact = story.fact(subject, relation)
        assert fact is not None
        named = subject.split("'s ")[0] in sentence.text
        if relation == "profession":
            named = named and sentence.kind == "opening"
        if relation == "town":
            named = named and sentence.kind == "opening" and f"from {fact.value}" in sentence.text
        if relation == "food":
            named = named and f"loves {fact.value}" in sentence.text
        if named and relation in VALUES:
            found.append((subject, relation, fact.value))
    return list(dict.fromkeys(found))


def entailment(seed: int, number: int, draw: Draw) -> Iterator[Candidate]:
    """Yield a sentence with a fact that it states (positive), and one with a changed fact.

    The changed fact has another value or another person.

    Args:
        seed: seed of the corpus.
        number: number of the document.
        draw: source of the random choices.
    """
    story = document(seed, number)
    sentence = draw.choose(story.structure)
    facts = stated(story, sentence)
    if not facts:
        return
    subject, relation, value = draw.choose(facts)
    true = hypothesis(subject, relation, value)
    yield Candidate((sentence.text, true), 1.0, True, f"{relation} of {subject} is {value}")
    subject, relation, value = draw.choose(facts)
    others = _named(sentence)
    person = subject.split("'s ")[0]
    if draw.percent(50) and person in others and len(others) == 2:
        (other,) = (name for name in others if name != person)
        changed, origin = (other + subject[len(person) :], relation, value), "of another person"
    else:
        left = [one for one in VALUES[relation] if one != value]
        changed, origin = (subject, relation, draw.choose(left)), "with another value"
    if changed in facts:
        return
    yield Candidate((sentence.text, hypothesis(*changed)), 0.0, False, f"{relation} {origin}")


def _named(sentence: Sentence) -> List[str]:
    """Return the people whose names are in a sentence."""
    found = (m.span.of(sentence.text) for m in sentence.mentions if m.form == "name")
    return list(dict.fromkeys(name for name in found if name in PRONOUNS_OF_NAME))


# --- coreference


def resolvable(sentence: Sentence) -> Optional[Mention]:
    """Return the first pronoun that refers to exactly one of two people named before it, or None.

    The pronoun is "she" or "he", as a subject.
    """
    for mention in sentence.mentions:
        word = mention.span.of(sentence.text)
        if mention.form != "pronoun" or word not in ("she", "he"):
            continue
        before = [
            m.entities[0]
            for m in sentence.mentions
            if m.form == "name" and m.span.end <= mention.span.start
        ]
        people = list(dict.fromkeys(name for name in before if name in PRONOUNS_OF_NAME))
        fitting = [name for name in people if PRONOUNS_OF_NAME[name].subject == word]
        if len(people) == 2 and fitting == [mention.entities[0]]:
            return mention
    return None


def coreference(seed: int, number: int, draw: Draw) -> Iterator[Candidate]:
    """Yield a sentence and its last clause with a name in place of the pronoun.

    The name is the right one (positive) or the other one. Only one of the two is yielded, so that
    no two examples differ only in the name.

    Args:
        seed: seed of the corpus.
        number: number of the document.
        draw: source of the random choices.
    """
    story = document(seed, number)
    found = [(s, m) for s in story.structure for m in [resolvable(s)] if m is not None]
    if not found:
        return
    sentence, mention = draw.choose(found)
    right = mention.entities[0]
    (wrong,) = (name for name in _named(sentence) if name != right)
    rest = sentence.text[mention.span.end :]
    if draw.percent(50):
        yield Candidate((sentence.text, right + rest), 1.0, True, f"{right} is right")
    else:
        yield Candidate((sentence.text, wrong + rest), 0.0, False, f"{right} were right")


# --- similarity


class Scene(NamedTuple):
    """The content of a sentence of the similarity task: slots, activity and number."""

    day: str
    person: str
    adjective: str
    object: str
    place: str
    activity: Activity
    number: str

    def text(self, day_first: bool) -> str:
        """Return the sentence in one of two word orders."""
        verb = self.activity.verb.third
        (noun,) = (n.form(self.number) for n in self.activity.objects if n.singular == self.object)
        core = f"{self.person} {verb} the {self.adjective} {noun} {self.place}"
        return f"On {self.day}, {core}." if day_first else f"{core} on {self.day}."


def similarity(seed: int, number: int, draw: Draw) -> Iterator[Candidate]:
    """Yield two scenes of one topic; the score is the number of slots that they share.

    The number of shared slots is drawn uniformly from 0 to 5.

    Args:
        seed: seed that the other tasks use for the corpus; this task does not read the corpus.
        number: number of the document, unused likewise.
        draw: source of the random choices.
    """
    topic = draw.choose(TOPICS)
    first = _scene(topic, draw)
    slots = list(SLOTS)
    same = {draw.take(slots) for _ in range(draw.below(len(SLOTS) + 1))}
    second = _changed(first, same, topic, draw)
    texts = (first.text(draw.percent(50)), second.text(draw.percent(50)))
    if texts[0] == texts[1]:
        return
    score = float(len(same))
    yield Candidate(texts, score, score >= 3, f"the same are {' '.join(sorted(same))}")


def _scene(topic: Topic, draw: Draw) -> Scene:
    activity = draw.choose(topic.activities)
    return Scene(
        draw.choose(DAYS),
        draw.choose(NAMES),
        draw.choose(activity.adjectives),
        draw.choose(activity.objects).singular,
        _place(draw.choose(topic.places)),
        activity,
        draw.choose((SINGULAR, PLURAL)),
    )


def _changed(scene: Scene, same: Set[str], topic: Topic, draw: Draw) -> Scene:
    """Return a scene that shares the slots of `same` with `scene`, and no other slot."""

    def other(values: Sequence[str], old: str) -> str:
        return draw.choose([value for value in values if value != old])

    activity = scene.activity
    if not same & {"adjective", "object"}:
        # Neither is shared: take another activity of the topic, which has other words for both.
        activity = draw.choose([a for a in topic.activities if a is not activity])
        adjective = draw.choose(activity.adjectives)
        thing = draw.choose(activity.objects).singular
    else:
        adjective, thing = scene.adjective, scene.object
        if "adjective" not in same:
            adjective = other(activity.adjectives, adjective)
        if "object" not in same:
            thing = other([noun.singular for noun in activity.objects], thing)
    return Scene(
        scene.day if "day" in same else other(DAYS, scene.day),
        scene.person if "person" in same else other(NAMES, scene.person),
        adjective,
        thing,
        scene.place if "place" in same else other(list(map(_place, topic.places)), scene.place),
        activity,
        scene.number if "object" in same else draw.choose((SINGULAR, PLURAL)),
    )


def _place(place: Tuple[str, str]) -> str:
    preposition, noun = place
    return f"{preposition} the {noun}"
