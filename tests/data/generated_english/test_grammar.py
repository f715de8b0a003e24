"""The generated sentences obey agreement and selection, by a checker that sees only the surface."""

from __future__ import annotations

import re
from typing import Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.generated_english.corpus import document, generate_documents, tokenize
from data.generated_english.lexicon import (
    ANIMALS,
    HOMES,
    KIN,
    NAMES,
    PETS,
    PLAIN_VERBS,
    PRONOUNS_OF_NAME,
    THINGS,
)
from data.generated_english.topics import PLURAL, SINGULAR, TOPICS
from data.generated_english.truth import GeneratedDocument, SentencePart

ACTIVITIES = [activity for topic in TOPICS for activity in topic.activities]
ACTIVITY_BY_FORM = {
    form: activity for activity in ACTIVITIES for form in (activity.verb.base, activity.verb.third)
}
VERBS = [*PLAIN_VERBS.values(), *(activity.verb for activity in ACTIVITIES)]
VERB_NUMBER = {verb.third: SINGULAR for verb in VERBS}
VERB_NUMBER.update({verb.base: PLURAL for verb in VERBS})
NOUNS = [
    *(noun for activity in ACTIVITIES for noun in activity.objects),
    *(noun for topic in TOPICS for noun in (*topic.professions, *topic.fixtures)),
]
NOUN_NUMBER = {noun.singular: SINGULAR for noun in NOUNS}
NOUN_NUMBER.update({noun.plural: PLURAL for noun in NOUNS})
NOUN_NUMBER.update(dict.fromkeys((*THINGS, *HOMES, *ANIMALS), SINGULAR))
NOUN_NUMBER.update({activity.tool: SINGULAR for activity in ACTIVITIES})
NOUN_NUMBER.update({place: SINGULAR for topic in TOPICS for _, place in topic.places})
KIN_WORDS = {kin for kins in KIN.values() for kin in kins}
DETERMINER_NUMBER = {"a": SINGULAR, "an": SINGULAR, "this": SINGULAR, "that": SINGULAR}
DETERMINER_NUMBER.update({"these": PLURAL, "those": PLURAL})
CLAUSE_OPENERS = {"because", "when", "while", "after", "but"}
REFLEXIVES = {pronouns.reflexive for pronouns in PRONOUNS_OF_NAME.values()} | {"themselves"}


def nominal_number(word: str) -> Optional[str]:
    """The number of a word that can be the head of a subject."""
    if word in NAMES or word in PETS or word in ("One", "she", "he", "She", "He"):
        return SINGULAR
    if word in ("they", "They"):
        return PLURAL
    return NOUN_NUMBER.get(word)


def agreement_breaches(sentence: str) -> List[str]:
    """Verbs, determiners and reflexives that do not agree, found from left to right."""
    words = tokenize(sentence)
    found = []
    at = words.index(",") + 1 if words[0] in ("On", "At") else 0
    number: Optional[str] = None
    head = ""
    verbs = 0
    while at < len(words):
        word = words[at]
        following = words[at + 1] if at + 1 < len(words) else ""
        if word in CLAUSE_OPENERS or (word == "," and following == "and"):
            number = None
        elif word in VERB_NUMBER and words[at - 1] != "to":
            verbs += 1
            if VERB_NUMBER[word] != number:
                found.append(f"{head} {word}")
        elif number is None and following != "'s" and nominal_number(word) is not None:
            number, head = nominal_number(word), word
            if following == "and" and words[at + 2] in NAMES:
                number = PLURAL
                at += 2
        elif word in REFLEXIVES:
            pronouns = PRONOUNS_OF_NAME.get(head)
            if word != (pronouns.reflexive if pronouns else "themselves"):
                found.append(f"{head} {word}")
        if word in DETERMINER_NUMBER:
            noun = next(w for w in words[at + 1 :] if w in NOUN_NUMBER)
            if NOUN_NUMBER[noun] != DETERMINER_NUMBER[word]:
                found.append(f"{word} {noun}")
            if word in ("a", "an") and (word == "an") != (following[0] in "aeiou"):
                found.append(f"{word} {following}")
        at += 1
    return found if verbs else [*found, "no verb"]


def selection_breaches(sentence: str) -> List[str]:
    """Objects, adjectives and tools that the verb before them does not take."""
    words = tokenize(sentence)
    found = []
    for at, word in enumerate(words):
        activity = ACTIVITY_BY_FORM.get(word)
        if activity is None:
            continue
        after = [w for w in words[at + 1 :] if w not in ("a", "an", "the")]
        objects = {form for noun in activity.objects for form in (noun.singular, noun.plural)}
        if after[0] not in activity.adjectives or after[1] not in objects:
            found.append(" ".join((word, *after[:2])))
        tools = {a.tool for a in ACTIVITIES}
        tool = next((w for w in after[2:] if w in tools), activity.tool)
        if tool != activity.tool:
            found.append(f"{word} {tool}")
    return found


@pytest.fixture(scope="module")
def documents() -> List[GeneratedDocument]:
    return list(generate_documents(seed=11, count=1500))


def test_no_word_is_both_a_noun_and_a_verb() -> None:
    assert not set(NOUN_NUMBER) & set(VERB_NUMBER)
    assert len(ACTIVITY_BY_FORM) == 2 * len(ACTIVITIES)
    assert len({noun.singular for a in ACTIVITIES for noun in a.objects}) == sum(
        len(a.objects) for a in ACTIVITIES
    )


def test_thousands_of_sentences_agree(documents: List[GeneratedDocument]) -> None:
    sentences = [sentence for d in documents for sentence in d.sentences]
    assert len(sentences) > 7000
    assert {s: agreement_breaches(s) for s in sentences if agreement_breaches(s)} == {}


def test_thousands_of_sentences_select(documents: List[GeneratedDocument]) -> None:
    sentences = [sentence for d in documents for sentence in d.sentences]
    assert {s: selection_breaches(s) for s in sentences if selection_breaches(s)} == {}


def replaced(text: str, part: SentencePart, word: str) -> str:
    return text[: part.span.start] + word + text[part.span.end :]


def other_form(word: str) -> str:
    forms: Dict[str, str] = {verb.base: verb.third for verb in VERBS}
    forms.update({verb.third: verb.base for verb in VERBS})
    return forms[word]


def test_every_broken_verb_is_found(documents: List[GeneratedDocument]) -> None:
    """The truth points at the verbs, and the checker can fail: wrong number, each verb in turn."""
    broken = 0
    for item in documents[:200]:
        for sentence in item.structure:
            for part in sentence.parts:
                if part.role == "verb":
                    bad = replaced(sentence.text, part, other_form(part.span.of(sentence.text)))
                    assert len(agreement_breaches(bad)) == 1, bad
                    broken += 1
    assert broken > 1500


def test_every_foreign_object_is_found(documents: List[GeneratedDocument]) -> None:
    for item in documents[:200]:
        for sentence in item.structure:
            for part in sentence.parts:
                if part.role == "object" and selection_breaches(sentence.text) == []:
                    follows_verb = any(
                        p.role in ("verb", "infinitive") and p.lemma == part.head
                        for p in sentence.parts
                        if p.clause == part.clause
                    )
                    bad = replaced(sentence.text, part, "zebra")
                    assert bool(selection_breaches(bad)) == follows_verb, bad


@pytest.mark.parametrize(
    "sentence",
    [
        "The cooks near the oven bakes the warm pies.",
        "The cook near the ovens bake the warm pie.",
        "Mira wants these warm pie, but Tom wants that raw onion.",
        "Mira calls himself the best cook in Easton, and Tom agrees.",
        "The cooks from Easton teach themself to bake a warm pie for Mira.",
        "Mira owns a orange boat.",
        "They owns a red boat.",
        "One of the cooks bake the warm pies in a tin.",
        "Mira and Tom eats some soup.",
        "The red boat.",
    ],
)
def test_the_checker_finds_a_breach(sentence: str) -> None:
    assert agreement_breaches(sentence)


def test_attractors_of_the_other_number_occur(documents: List[GeneratedDocument]) -> None:
    """Agreement must be learned across a noun of the other number."""
    crossed = 0
    for item in documents:
        for sentence in item.structure:
            for part in sentence.parts:
                subject = sentence.part("subject", part.clause)
                if part.role == "attractor" and subject is not None:
                    crossed += part.number != subject.number
    assert crossed > 200


@given(st.integers(), st.integers(min_value=0, max_value=2**40))
def test_any_document_is_well_formed(seed: int, index: int) -> None:
    item = document(seed, index)
    assert 4 <= len(item.sentences) <= 9
    for sentence in item.sentences:
        assert re.fullmatch(r"[A-Z][A-Za-z ,']*[a-z]\.", sentence)
        assert "  " not in sentence
        assert not agreement_breaches(sentence)
        assert not selection_breaches(sentence)
