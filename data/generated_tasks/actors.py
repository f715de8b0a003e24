"""Sentences of the generated English, and who acts in them."""

from __future__ import annotations

from typing import Iterator

from data.generated_english.corpus import document
from data.generated_english.lexicon import PRONOUNS_OF_NAME
from data.generated_english.story import Draw
from data.generated_tasks.pairs import Candidate


def actor(seed: int, number: int, draw: Draw) -> Iterator[Candidate]:
    """A sentence of a document whose first subject is a person called by name: a woman or a man?

    Whoever else is named in it, or stands before the subject ("Nora's neighbour Paul"), leads
    astray. Names that go with "they" are left out.
    """
    found = []
    for sentence in document(seed, number).structure:
        subject = sentence.part("subject")
        name = "" if subject is None else subject.span.of(sentence.text)
        if name in PRONOUNS_OF_NAME and PRONOUNS_OF_NAME[name].subject in ("she", "he"):
            found.append((sentence.text, name))
    if found:
        text, name = draw.choose(found)
        is_woman = PRONOUNS_OF_NAME[name].subject == "she"
        yield Candidate((text,), float(is_woman), is_woman, f"the actor is {name}")
