"""The generated tasks "acceptability" and "order": original sentences and broken ones."""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Tuple

from data.generated_english.corpus import document
from data.generated_english.lexicon import PLAIN_VERBS
from data.generated_english.story import Draw
from data.generated_english.topics import ACTIVITY_OF_VERB, PLURAL, SINGULAR, Verb
from data.generated_english.truth import Sentence, Span
from data.generated_tasks.pairs import Candidate

VERB_OF_BASE = {
    **{verb.base: verb for verb in PLAIN_VERBS.values()},
    **{base: activity.verb for base, activity in ACTIVITY_OF_VERB.items()},
}
"""All finite verbs of the language by their base form."""

_OTHER_REFLEXIVE = {"herself": "himself", "himself": "herself"}
_OTHER_DETERMINER = {"this": "these", "these": "this", "that": "those", "those": "that"}


class Break(NamedTuple):
    """A change that makes a sentence ungrammatical: `old` at `span` becomes `new`."""

    kind: str
    span: Span
    old: str
    new: str


def breaks(sentence: Sentence) -> List[Break]:
    """Return all changes that put one ungrammatical word into a sentence.

    - agreement: a verb does not agree with the number of its subject;
    - reflexive: "herself" for a man or "himself" for a woman;
    - determiner: "this" or "that" before a plural, "these" or "those" before a singular.
    """
    found: List[Break] = []
    for part in sentence.parts:
        old = part.span.of(sentence.text)
        if part.role == "verb":
            verb: Verb = VERB_OF_BASE[part.lemma]
            new = verb.form(PLURAL if part.number == SINGULAR else SINGULAR)
            found.append(Break("agreement", part.span, old, new))
        elif part.role == "reflexive" and old in _OTHER_REFLEXIVE:
            found.append(Break("reflexive", part.span, old, _OTHER_REFLEXIVE[old]))
        elif part.role == "determiner" and old in _OTHER_DETERMINER:
            found.append(Break("determiner", part.span, old, _OTHER_DETERMINER[old]))
    return found


def acceptability(seed: int, number: int, draw: Draw) -> Iterator[Candidate]:
    """Yield an unchanged sentence of a document (positive) and a broken one.

    Args:
        seed: seed of the corpus.
        number: number of the document.
        draw: source of the random choices.
    """
    several = list(document(seed, number).structure)
    good = draw.take(several)
    yield Candidate((good.text,), 1.0, True, "as written")
    chosen, broken = _break_one(draw.take(several), draw)
    yield Candidate((broken,), 0.0, False, f"{chosen.kind}, {chosen.old} became {chosen.new}")


def _break_one(sentence: Sentence, draw: Draw) -> Tuple[Break, str]:
    possible = breaks(sentence)
    # Prefer the rare kinds; otherwise nearly all changes would be agreement.
    rare = [one for one in possible if one.kind != "agreement"]
    chosen = draw.choose(rare if rare and draw.percent(60) else possible)
    text = sentence.text
    return chosen, text[: chosen.span.start] + chosen.new + text[chosen.span.end :]


# --- order of words


def exchanges(sentence: Sentence) -> List[int]:
    """Return the indices of the words whose exchange with the next word breaks the sentence.

    Words are separated by spaces. The first word is left out, since its capital letter would give
    the answer away. Words with punctuation, equal words and pairs of adjectives are also left out.
    """
    words = sentence.text.split(" ")
    adjectives = {p.span.of(sentence.text) for p in sentence.parts if p.role == "adjective"}
    return [
        number
        for number in range(1, len(words) - 1)
        if words[number].isalpha()
        and words[number + 1].isalpha()
        and words[number] != words[number + 1]
        and not {words[number], words[number + 1]} <= adjectives
    ]


def order(seed: int, number: int, draw: Draw) -> Iterator[Candidate]:
    """Yield an unchanged sentence of a document (positive) and one with two words exchanged.

    Args:
        seed: seed of the corpus.
        number: number of the document.
        draw: source of the random choices.
    """
    several = list(document(seed, number).structure)
    good = draw.take(several)
    yield Candidate((good.text,), 1.0, True, "as written")
    sentence = draw.take(several)
    possible = exchanges(sentence)
    if not possible:
        return
    place = draw.choose(possible)
    words = sentence.text.split(" ")
    words[place : place + 2] = words[place + 1], words[place]
    origin = f"{words[place + 1]} {words[place]} were exchanged"
    yield Candidate((" ".join(words),), 0.0, False, origin)
