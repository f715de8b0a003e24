"""A writer of generated sentences that records spans, grammatical parts and mentions."""

from __future__ import annotations

from typing import List, Tuple

from data.generated_english.lexicon import PLAIN_VERBS, Pronouns, article
from data.generated_english.story import Goods, Person, Story
from data.generated_english.topics import PLURAL, SINGULAR, Noun, Verb
from data.generated_english.truth import Mention, Sentence, SentencePart, Span


class SentenceWriter:
    """A writer of one sentence, from left to right.

    A finite verb agrees with the last subject that was written. Each method appends a phrase and
    records its structure.

    Attributes:
        facts: the facts that the sentence states so far, as (subject, relation, value).
    """

    def __init__(self, story: Story) -> None:
        self._story = story
        self._pieces: List[str] = []
        self._length = 0
        self._clause = -1
        self._number = SINGULAR
        self._parts: List[SentencePart] = []
        self._mentions: List[Mention] = []
        self.facts: List[Tuple[str, str, str]] = []

    def say(self, words: str) -> Span:
        """Append words after a space; punctuation and "'s" follow the last word directly."""
        if self._pieces and words[0] not in ".,'":
            self._pieces.append(" ")
            self._length += 1
        start = self._length
        self._pieces.append(words)
        self._length += len(words)
        return Span(start, self._length)

    def finish(self, kind: str) -> Sentence:
        """Return the sentence, with a capital letter and a full stop."""
        self.say(".")
        text = "".join(self._pieces)
        return Sentence(
            text[0].upper() + text[1:],
            kind,
            tuple(self._parts),
            tuple(self._mentions),
            tuple((subject, relation) for subject, relation, _ in self.facts),
        )

    def _part(self, role: str, lemma: str, words: str, number: str = "", head: str = "") -> Span:
        span = self.say(words)
        self._parts.append(SentencePart(role, lemma, number, max(self._clause, 0), head, span))
        return span

    def _mention(self, span: Span, form: str, *entities: str) -> None:
        self._mentions.append(Mention(entities, form, span))

    def note(self, subject: str, relation: str, value: str) -> None:
        """Record that the sentence states a fact."""
        self.facts.append((subject, relation, value))

    # --- subjects and verbs

    def subject(self, person: Person, pronoun: bool = False) -> None:
        """Append a person as the subject of the next verb."""
        number = person.pronouns.verb_number if pronoun else SINGULAR
        words = person.pronouns.subject if pronoun else person.name
        self._clause += 1
        span = self._part("subject", words, words, number)
        self._mention(span, "pronoun" if pronoun else "name", person.name)
        self._number = number

    def noun_subject(self, noun: Noun, number: str, determiner: str, adjective: str = "") -> None:
        """Append a noun as the subject of the next verb."""
        self._clause += 1
        self._noun("subject", noun, number, determiner, adjective, "")
        self._number = number

    def one_of(self, noun: Noun) -> None:
        """Append "one of the cooks" as the subject of the next verb, which is singular."""
        self._clause += 1
        self._part("subject", "one", "one", SINGULAR)
        self.say("of")
        self.say("the")
        self._part("attractor", noun.singular, noun.plural, PLURAL)
        self._number = SINGULAR

    def both_subject(self, first: Person, second: Person) -> None:
        """Append two names joined by "and" as the subject of the next verb."""
        self._clause += 1
        start = self.name(first).start
        self.say("and")
        end = self.name(second).end
        words = f"{first.name} and {second.name}"
        self._parts.append(
            SentencePart("subject", words, PLURAL, self._clause, "", Span(start, end))
        )
        self._number = PLURAL

    def group_pronoun(self, words: str, form: str, *entities: str) -> None:
        """Append a plural pronoun; "they" is the subject of the next verb, which is plural."""
        if words == "they":
            self._clause += 1
            span = self._part("subject", "they", words, PLURAL)
            self._number = PLURAL
        else:
            span = self.say(words)
        self._mention(span, form, *entities)

    def pet_subject(self, owner: Person) -> None:
        """Append the pet of `owner` as the subject of the next verb: "Momo the cat"."""
        self._clause += 1
        span = self._part("subject", owner.pet, owner.pet, SINGULAR)
        self._mention(span, "name", owner.pet)
        self.say("the")
        self.say(owner.animal)
        self._note_pet(owner)
        self._number = SINGULAR

    def attractor(self, noun: Noun, number: str) -> None:
        """Append a phrase between a subject and its verb: "near the ovens"."""
        self.say(self._story.fixture_preposition)
        self.say("the")
        self._part("attractor", noun.singular, noun.form(number), number)

    def more(self) -> None:
        """Begin another clause with the same subject: "... and owns ..."."""
        self._clause += 1

    def verb(self, third: str) -> None:
        """Append a verb of `PLAIN_VERBS`, named by its third person, in the form that agrees."""
        self._verb(PLAIN_VERBS[third])

    def _verb(self, verb: Verb) -> None:
        self._part("verb", verb.base, verb.form(self._number), self._number)

    # --- people and what they have

    def name(self, person: Person) -> Span:
        """Append a person's name."""
        span = self.say(person.name)
        self._mention(span, "name", person.name)
        return span

    def person(self, person: Person, by_role: bool) -> None:
        """Append a person by name, or the story's first person as "the cook from Easton"."""
        if not by_role or person is not self._story.first:
            self.name(person)
            return
        self.profession("the")
        # The mention is the noun, which is the head of the phrase.
        word = self._story.profession.singular
        self._mention(Span(self._length - len(word), self._length), "noun", person.name)
        self.say("from")
        self.town()

    def object_pronoun(self, person: Person) -> None:
        """Append "her", "him" or "them" for a person."""
        self._mention(self.say(person.pronouns.object), "pronoun", person.name)

    def reflexive(self, pronouns: Pronouns, entity: str) -> None:
        """Append the reflexive pronoun of the subject `entity`."""
        span = self._part("reflexive", "self", pronouns.reflexive, self._number)
        self._mention(span, "reflexive", entity)

    def owner(self, person: Person, pronoun: bool) -> None:
        """Append a possessive: "her" or "Mira's"."""
        if pronoun:
            self._mention(self.say(person.pronouns.possessive), "possessive", person.name)
        else:
            self.name(person)
            self.say("'s")

    def thing(self, owner: Person, pronoun: bool) -> None:
        """Append the thing of `owner`, with its colour: "her red boat"."""
        self.owner(owner, pronoun)
        self._thing(owner)

    def _thing(self, owner: Person) -> None:
        key = f"{owner.name}'s {owner.thing}"
        self._part("adjective", owner.colour, owner.colour, "", owner.thing)
        self._mention(self.say(owner.thing), "noun", key)
        self.note(owner.name, "owns", owner.thing)
        self.note(key, "colour", owner.colour)

    def home(self, owner: Person, pronoun: bool) -> None:
        """Append the home of `owner`: "her cottage near the mill"."""
        self.owner(owner, pronoun)
        self._home(owner)

    def _home(self, owner: Person) -> None:
        key = f"{owner.name}'s {owner.home}"
        self._mention(self.say(owner.home), "noun", key)
        self.say("near")
        self.say("the")
        self.say(owner.landmark)
        self.note(owner.name, "home", owner.home)
        self.note(key, "landmark", owner.landmark)

    def food(self, owner: Person) -> None:
        """Append the favourite food of `owner`."""
        self.say(owner.food)
        self.note(owner.name, "food", owner.food)

    def _note_pet(self, owner: Person) -> None:
        self.note(owner.name, "pet", owner.pet)
        self.note(owner.pet, "animal", owner.animal)

    def state(self, extra: str, owner: Person) -> None:
        """Append the verb phrase that introduces one more fact about `owner`, such as a pet.

        The owner is the subject of the sentence.

        Args:
            extra: one of `data.generated_english.story.EXTRAS`.
            owner: the person.
        """
        if extra == "thing":
            self.verb("owns")
            self.say(article(owner.colour))
            self._thing(owner)
        elif extra == "home":
            self.verb("lives")
            self.say("in")
            self.say(article(owner.home))
            self._home(owner)
        elif extra == "food":
            self.verb("loves")
            self.food(owner)
        else:
            self.verb("has")
            self.say(article(owner.animal))
            self.say(owner.animal)
            self.say("called")
            self._mention(self.say(owner.pet), "name", owner.pet)
            self._note_pet(owner)

    # --- work

    def work(self, goods: Goods, determiner: str = "", worker: str = "") -> None:
        """Append a verb with its object, "bakes sweet pies", as an activity of `worker`."""
        self._verb(goods.activity.verb)
        self.goods(goods, determiner)
        if worker:
            self._note_work(goods, worker)

    def to_work(self, goods: Goods, worker: str = "") -> None:
        """Append an infinitive with its object: "to bake sweet pies"."""
        self.say("to")
        verb = goods.activity.verb
        self._part("infinitive", verb.base, verb.base)
        self.goods(goods)
        if worker:
            self._note_work(goods, worker)

    def _note_work(self, goods: Goods, worker: str) -> None:
        value = f"{goods.activity.verb.base} {goods.adjective} {goods.noun.singular}"
        self.note(worker, "activity", value)

    def goods(self, goods: Goods, determiner: str = "") -> None:
        """Append the object of an activity; without a determiner "a sweet pie" or "sweet pies"."""
        head = goods.activity.verb.base
        self._noun("object", goods.noun, goods.number, determiner, goods.adjective, head)

    def _noun(
        self, role: str, noun: Noun, number: str, determiner: str, adjective: str, head: str
    ) -> None:
        if not determiner and number == SINGULAR:
            determiner = article(adjective or noun.singular)
        if determiner:
            self._part("determiner", determiner, determiner, number, noun.singular)
        if adjective:
            self._part("adjective", adjective, adjective, number, noun.singular)
        self._part(role, noun.singular, noun.form(number), number, head)

    def tool(self, goods: Goods) -> None:
        """Append the tool of an activity: "in a tin"."""
        self.say(goods.activity.preposition)
        self.say(article(goods.activity.tool))
        self._part("tool", goods.activity.tool, goods.activity.tool, "", goods.activity.verb.base)

    def place(self) -> None:
        """Append the place of the story: "at the counter"."""
        preposition, place = self._story.place
        self.say(preposition)
        self.say("the")
        self._part("place", place, place)

    # --- the first person

    def profession(self, determiner: str) -> None:
        """Append the profession of the first person after a determiner ("a", "the best")."""
        noun = self._story.profession
        self.say(article(noun.singular) if determiner == "a" else determiner)
        self.say(noun.singular)
        self.note(self._story.first.name, "profession", noun.singular)

    def town(self) -> None:
        """Append the town of the first person."""
        self.say(self._story.town)
        self.note(self._story.first.name, "town", self._story.town)

    def day(self) -> None:
        """Append the day of the first person: "on Mondays"."""
        self.say("on")
        self.say(self._story.day)
        self.note(self._story.first.name, "day", self._story.day)
