"""The generated task "actor": whether the person who acts in a sentence is a woman or a man."""

from __future__ import annotations

from typing import Iterator

from data.generated_english.corpus import document
from data.generated_english.lexicon import PRONOUNS_OF_NAME
from data.generated_english.story import Draw
from data.generated_tasks.pairs import Candidate


def actor(seed: int, number: int, draw: Draw) -> Iterator[Candidate]:
    """Yield a sentence of a document whose first subject is a woman (positive) or a man.

    The subject is a person's name. Other names in the sentence, also before the subject ("Nora's
    neighbour Paul"), are distractors. Names with the pronoun "they" are left out.

    Args:
        seed: seed of the corpus.
        number: number of the document.
        draw: source of the random choices.
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
