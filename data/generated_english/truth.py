"""What is known about a generated document: its facts, who is who, and how a sentence is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple


@dataclass(frozen=True)
class Span:
    """Characters `start` (included) to `end` (excluded) of a sentence."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The piece of `text` that the span covers."""
        return text[self.start : self.end]


@dataclass(frozen=True)
class Part:
    """A word of a sentence with its grammatical role.

    Attributes:
        role: "subject", "verb", "infinitive", "object", "adjective", "determiner", "reflexive",
            "tool", "place", "attractor" (a noun between a subject and its verb).
        lemma: dictionary form: a verb's base, a noun's singular.
        number: "singular" or "plural"; for a verb the number that it agrees with; else "".
        clause: counts the finite verbs; a verb agrees with the subject of its own clause.
        head: for an adjective or determiner the lemma of its noun, for a tool or an object the
            lemma of its verb; else "".
        span: where it stands.
    """

    role: str
    lemma: str
    number: str
    clause: int
    head: str
    span: Span


@dataclass(frozen=True)
class Mention:
    """Words that stand for an entity.

    Attributes:
        entities: keys of the entities (two for a "they" that joins two people).
        form: "name", "noun", "pronoun", "possessive" or "reflexive".
        span: where the words stand.
    """

    entities: Tuple[str, ...]
    form: str
    span: Span


@dataclass(frozen=True)
class Entity:
    """Someone or something that lasts through a document.

    Attributes:
        key: a person's or pet's name, or the owner's name and the noun ("Mira's boat").
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
    """A lasting truth of a document: `subject` has `value` for `relation`.

    Relations: profession, town, owns, colour, pet, animal, home, landmark, food, day (on which the
    first person works and meets the second), the kinship of the second person to the first
    (sister_of, ...) and activity (value: verb, adjective and object lemma).

    Attributes:
        subject: key of an entity.
        relation: as above; holds at most one value for a subject.
        value: the value.
        sentences: indices of the sentences that say or presuppose it, ascending.
    """

    subject: str
    relation: str
    value: str
    sentences: Tuple[int, ...]


@dataclass(frozen=True)
class Sentence:
    """A sentence and its structure.

    Attributes:
        text: the surface.
        kind: name of the rule that made it.
        parts: the grammatical parts in surface order.
        mentions: the mentions in surface order.
        facts: (subject, relation) of the facts that it says or presupposes.
    """

    text: str
    kind: str
    parts: Tuple[Part, ...]
    mentions: Tuple[Mention, ...]
    facts: Tuple[Tuple[str, str], ...]

    def part(self, role: str, clause: int = 0) -> Optional[Part]:
        """The first part with `role` in a clause, or None."""
        for part in self.parts:
            if part.role == role and part.clause == clause:
                return part
        return None


@dataclass(frozen=True)
class Document:
    """A generated document and the truth behind it.

    Attributes:
        index: its number under the seed.
        topic: name of its topic.
        structure: its sentences with their structure.
        entities: who and what occurs.
        facts: what holds throughout.
    """

    index: int
    topic: str
    structure: Tuple[Sentence, ...]
    entities: Tuple[Entity, ...]
    facts: Tuple[Fact, ...]

    @property
    def sentences(self) -> Tuple[str, ...]:
        """The surfaces of the sentences."""
        return tuple(sentence.text for sentence in self.structure)

    def fact(self, subject: str, relation: str) -> Optional[Fact]:
        """The fact about `subject` under `relation`, or None."""
        for fact in self.facts:
            if fact.subject == subject and fact.relation == relation:
                return fact
        return None
