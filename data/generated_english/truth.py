"""The annotations of a generated document: facts, entities, mentions and grammatical parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple


@dataclass(frozen=True)
class Span:
    """Characters `start` (included) to `end` (excluded) of a sentence."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """Return the piece of `text` that the span covers."""
        return text[self.start : self.end]


@dataclass(frozen=True)
class SentencePart:
    """A word of a sentence with its grammatical role.

    Attributes:
        role: "subject", "verb", "infinitive", "object", "adjective", "determiner", "reflexive",
            "tool", "place", "attractor" (a noun between a subject and its verb).
        lemma: the dictionary form: the base of a verb, the singular of a noun.
        number: "singular" or "plural"; for a verb, the number of its subject; "" if the word has
            no number.
        clause: the number of the clause, from 0; a clause has one finite verb, which agrees with
            the subject of that clause.
        head: the lemma of the noun for an adjective or determiner, the lemma of the verb for a
            tool or an object; else "".
        span: the position of the word.
    """

    role: str
    lemma: str
    number: str
    clause: int
    head: str
    span: Span


@dataclass(frozen=True)
class Mention:
    """Words that refer to an entity.

    Attributes:
        entities: keys of the entities; two for a "they" that refers to two people.
        form: "name", "noun", "pronoun", "possessive" or "reflexive".
        span: the position of the words.
    """

    entities: Tuple[str, ...]
    form: str
    span: Span


@dataclass(frozen=True)
class Entity:
    """A person, an animal, a thing or a group that a document mentions.

    Attributes:
        key: the name of a person or pet, or the name of the owner and a noun ("Mira's boat").
        kind: "person", "pet", "thing", "home" or "group".
        pronoun: the subject pronoun.
        owner: key of the owner, or "".
    """

    key: str
    kind: str
    pronoun: str
    owner: str


@dataclass(frozen=True)
class Fact:
    """A fact that holds throughout a document: `subject` has `value` for `relation`.

    The relations are profession, town, owns, colour, pet, animal, home, landmark, food, day (on
    which the first person works and meets the second), the kinship of the second person to the
    first (sister_of, ...) and activity (value: lemmas of verb, adjective and object).

    Attributes:
        subject: key of an entity.
        relation: one of the relations above; a subject has at most one value for it.
        value: the value.
        sentences: indices of the sentences that state or presuppose the fact, ascending.
    """

    subject: str
    relation: str
    value: str
    sentences: Tuple[int, ...]


@dataclass(frozen=True)
class Sentence:
    """A sentence and its structure.

    Attributes:
        text: the text of the sentence.
        kind: name of the grammar rule that generated it.
        parts: the grammatical parts, in the order of the text.
        mentions: the mentions, in the order of the text.
        facts: (subject, relation) of the facts that the sentence states or presupposes.
    """

    text: str
    kind: str
    parts: Tuple[SentencePart, ...]
    mentions: Tuple[Mention, ...]
    facts: Tuple[Tuple[str, str], ...]

    def part(self, role: str, clause: int = 0) -> Optional[SentencePart]:
        """Return the first part with `role` in a clause, or None."""
        for part in self.parts:
            if part.role == role and part.clause == clause:
                return part
        return None


@dataclass(frozen=True)
class GeneratedDocument:
    """A generated document and its annotations.

    Attributes:
        index: the number of the document under its seed.
        topic: name of its topic.
        structure: its sentences with their structure.
        entities: the entities that it mentions.
        facts: the facts that hold throughout.
    """

    index: int
    topic: str
    structure: Tuple[Sentence, ...]
    entities: Tuple[Entity, ...]
    facts: Tuple[Fact, ...]

    @property
    def sentences(self) -> Tuple[str, ...]:
        """The texts of the sentences."""
        return tuple(sentence.text for sentence in self.structure)

    def fact(self, subject: str, relation: str) -> Optional[Fact]:
        """Return the fact about `subject` for `relation`, or None."""
        for fact in self.facts:
            if fact.subject == subject and fact.relation == relation:
                return fact
        return None
