"""The grammar of the generated English: one rule for each kind of sentence.

A rule takes a writer, the story, the draw and two people (who, other). The setting rules open a
document and state its facts. The body rules use these facts again, so that a masked word often
follows from the rest of the document.
"""

from __future__ import annotations

from typing import Callable, Iterator, NamedTuple, Tuple

from data.generated_english.lexicon import GROUP
from data.generated_english.story import Draw, Person, Story
from data.generated_english.topics import PLURAL, SINGULAR
from data.generated_english.writer import SentenceWriter

_Rule = Callable[[SentenceWriter, Story, Draw, Person, Person], None]
# The chance of choosing a body rule that repeats a fact, while such rules are left.
_RECALLING_PERCENT = 70
GROUP_KEY = "group"  # the entity of "the cooks"


def _opening(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.subject(who)
    if draw.percent(50):
        w.verb("is")
        w.profession("a")
        w.say("from")
    else:
        w.verb("works")
        w.say("as")
        w.profession("a")
        w.say("in")
    w.town()
    w.say("and")
    w.more()
    w.state(who.extras[0], who)


def _companion(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.owner(who, pronoun=draw.percent(40))
    w.say(story.kin)
    w.note(other.name, f"{story.kin}_of", who.name)
    w.subject(other)
    w.state(other.extras[0], other)
    w.say("and")
    w.more()
    w.work(other.goods, worker=other.name)
    w.tool(other.goods)


def _habit(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.subject(who, pronoun=draw.percent(50))
    w.state(who.extras[1], who)
    w.say("and")
    w.more()
    w.work(who.goods, worker=who.name)
    w.say("with")
    w.name(other)
    w.day()


def _work(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.day()
    w.say(",")
    w.subject(who, pronoun=draw.percent(40))
    w.work(who.goods, "the", worker=who.name)
    w.tool(who.goods)
    w.place()
    w.say("for")
    w.name(other)


def _thank(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.subject(who)
    w.verb("thanks")
    w.person(other, by_role=draw.percent(50))
    w.say(",")
    w.say("because")
    w.subject(other, pronoun=True)
    w.work(other.goods, "the", worker=other.name)
    w.tool(other.goods)


def _see(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.subject(who)
    w.verb("sees")
    w.person(other, by_role=draw.percent(50))
    w.place()
    w.say("when")
    busy = who if draw.percent(50) else other
    w.subject(busy, pronoun=True)
    w.work(busy.goods, "the", worker=busy.name)


def _group(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    number = draw.choose((SINGULAR, PLURAL))
    if number == PLURAL:
        w.noun_subject(story.profession, PLURAL, "the")
        w.attractor(story.fixture, draw.choose((SINGULAR, PLURAL)))
    else:
        w.one_of(story.profession)
    w.work(who.goods, "the")
    w.tool(who.goods)
    w.say(",")
    w.say("and")
    w.subject(other)
    w.verb("helps")
    if number == PLURAL and other.pronouns.subject != "they" and who.pronouns.subject != "they":
        w.group_pronoun("them", "pronoun", GROUP_KEY)
    else:
        w.say("with")
        w.goods(who.goods, "the")


def _goods(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    number = draw.choose((SINGULAR, PLURAL))
    for person in (who, other):
        if person is other:
            w.say(",")
            w.say("but")
        goods = person.goods
        w.noun_subject(goods.noun, goods.number, "the", goods.adjective)
        w.attractor(story.fixture, number)
        w.verb("is")
        w.say("for")
        w.name(person)


def _want(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    near, far = who.goods, other.goods
    w.subject(who)
    w.verb("wants")
    w.goods(near, "this" if near.number == SINGULAR else "these")
    w.say(",")
    w.say("but")
    w.subject(other)
    w.verb("wants")
    w.goods(far, "that" if far.number == SINGULAR else "those")


def _best(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.subject(who)
    w.verb("calls")
    w.reflexive(who.pronouns, who.name)
    w.say("the")
    w.profession("best")
    w.say("in")
    w.town()
    w.say(",")
    w.say("and")
    w.subject(other)
    w.verb("agrees")


def _learn(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.subject(who)
    w.verb("teaches")
    w.reflexive(who.pronouns, who.name)
    w.to_work(who.goods, worker=who.name)
    w.tool(who.goods)
    w.say(",")
    w.say("and")
    w.subject(other)
    w.verb("helps")
    w.object_pronoun(who)


def _group_learn(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.noun_subject(story.profession, PLURAL, "the")
    w.say("from")
    w.town()
    w.verb("teaches")
    w.reflexive(GROUP, GROUP_KEY)
    w.to_work(other.goods)
    w.tool(other.goods)
    w.say("for")
    w.name(who)


def _borrow(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.day()
    w.say(",")
    w.subject(other)
    w.verb("borrows")
    w.thing(who, pronoun=False)
    w.say("and")
    w.more()
    w.verb("thanks")
    w.object_pronoun(who)


def _admire(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.subject(who)
    w.verb("admires")
    w.thing(who, pronoun=True)
    w.say("while")
    w.subject(other)
    w.work(other.goods, "the", worker=other.name)


def _sleep(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.pet_subject(who)
    w.verb("sleeps")
    if "thing" in who.extras:
        w.say("beside")
        w.thing(who, pronoun=False)
    elif "home" in who.extras:
        w.say("in")
        w.home(who, pronoun=False)
    else:
        w.place()
    w.say("while")
    w.subject(other)
    w.work(other.goods, "the", worker=other.name)


def _follow(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.pet_subject(who)
    w.verb("follows")
    w.person(who, by_role=draw.percent(50))
    w.say("when")
    w.subject(who, pronoun=True)
    w.work(who.goods, "the", worker=who.name)
    w.place()


def _visit(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.day()
    w.say(",")
    w.subject(other)
    w.verb("visits")
    w.person(who, by_role=draw.percent(50))
    w.say("at")
    w.home(who, pronoun=True)


def _at_home(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.say("at")
    w.home(who, pronoun=True)
    w.say(",")
    w.subject(who)
    w.work(who.goods, "the", worker=who.name)
    w.tool(who.goods)


def _bring(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.subject(other)
    w.verb("brings")
    w.person(who, by_role=draw.percent(50))
    w.say("some")
    w.food(who)
    w.say("when")
    w.subject(who, pronoun=True)
    w.work(who.goods, "the", worker=who.name)


def _eat(w: SentenceWriter, story: Story, draw: Draw, who: Person, other: Person) -> None:
    w.both_subject(who, other)
    w.verb("eats")
    w.say("some")
    w.food(who)
    w.say("after")
    if "they" in (who.pronouns.subject, other.pronouns.subject):
        w.subject(other)
        w.work(other.goods, "the", worker=other.name)
    else:
        w.group_pronoun("they", "pronoun", who.name, other.name)
        w.work(other.goods, "the")
    w.place()


class BodyRule(NamedTuple):
    """A body rule and its requirement.

    Attributes:
        kind: the name of the rule.
        rule: the function that writes the sentence.
        extra: the trait that the rule's first person must have; "" if it needs none. Only the
            first person of a story has a "profession".
    """

    kind: str
    rule: _Rule
    extra: str


BODY_RULES: Tuple[BodyRule, ...] = (
    BodyRule("thank", _thank, ""),
    BodyRule("see", _see, ""),
    BodyRule("group", _group, ""),
    BodyRule("goods", _goods, ""),
    BodyRule("want", _want, ""),
    BodyRule("learn", _learn, ""),
    BodyRule("group_learn", _group_learn, ""),
    BodyRule("work", _work, "profession"),
    BodyRule("best", _best, "profession"),
    BodyRule("borrow", _borrow, "thing"),
    BodyRule("admire", _admire, "thing"),
    BodyRule("sleep", _sleep, "pet"),
    BodyRule("follow", _follow, "pet"),
    BodyRule("visit", _visit, "home"),
    BodyRule("at_home", _at_home, "home"),
    BodyRule("bring", _bring, "food"),
    BodyRule("eat", _eat, "food"),
)


def write_story(story: Story, draw: Draw) -> Iterator[Tuple[str, SentenceWriter]]:
    """Yield the sentences of a story, each with the name of its rule.

    The first three sentences state facts; the others come from distinct pairs of a body rule and a
    person.
    """
    people = ((story.first, story.second), (story.second, story.first))
    for kind, rule in (("opening", _opening), ("companion", _companion), ("habit", _habit)):
        writer = SentenceWriter(story)
        rule(writer, story, draw, *people[0])
        yield kind, writer
    possible = [
        (body, pair)
        for body in BODY_RULES
        for pair in people
        if not body.extra
        or body.extra in pair[0].extras
        or (body.extra == "profession" and pair[0] is story.first)
    ]
    recalling = [item for item in possible if item[0].extra]
    general = [item for item in possible if not item[0].extra]
    for _ in range(story.sentences - 3):
        again = recalling and draw.percent(_RECALLING_PERCENT)
        body, (who, other) = draw.take(recalling if again else general)
        writer = SentenceWriter(story)
        body.rule(writer, story, draw, who, other)
        yield body.kind, writer
