"""Examples of all tasks for the sample, composed of sentences written for this project."""

from __future__ import annotations

import itertools
import random
import re
from typing import Any, Dict, List, Sequence, Tuple

from task_sentences import (
    ADJECTIVES,
    CAUSES,
    CITIES,
    NAMES,
    PLACES,
    PRAISE,
    SENSES,
    SYNONYMS,
    THINGS,
    WINOGRAD,
)

Objects = List[Dict[str, Any]]
NLI = ("neutral", "entailment", "contradiction")
RTE = ("not_entailment", "entailment")


def cast(rng: random.Random) -> Dict[str, str]:
    """Return the people, things and places of one example, all different."""
    first, second, third = rng.sample(NAMES, 3)
    thing, other, extra, spare = rng.sample(THINGS, 4)
    place, elsewhere = rng.sample(PLACES, 2)
    adjective, opposite = rng.choice(ADJECTIVES)
    city, town = rng.sample(CITIES, 2)
    return {
        "a": first, "b": second, "c": third, "thing": thing, "other": other, "extra": extra,
        "spare": spare, "place": place, "elsewhere": elsewhere, "adj": adjective,
        "opposite": opposite, "city": city, "town": town,
    }  # fmt: skip


def fill(rng: random.Random, count: int, labels: Sequence[str]) -> List[Tuple[str, Dict[str, str]]]:
    """Return `count` balanced labels in random order, each with the words of its example."""
    rows = [(labels[number % len(labels)], cast(rng)) for number in range(count)]
    rng.shuffle(rows)
    return rows


def cola(rng: random.Random, count: int) -> List[Tuple[str, str]]:
    good = (
        "{a} carried the {adj} {thing} to the {place}.",
        'The {thing} that {a} found was "{adj}".',
        "{b} wondered why {a} had sold the {thing}.",
    )
    bad = (
        "{a} carry the {thing} {adj} to the {place} did.",
        'The {thing} what {a} finding were "{adj}".',
        "{b} wondered why had {a} sold {thing} the.",
    )
    turns = {"1": itertools.cycle(good), "0": itertools.cycle(bad)}
    return [(label, next(turns[label]).format(**w)) for label, w in fill(rng, count, "01")]


def sst(rng: random.Random, count: int) -> List[Tuple[str, str]]:
    frames = (
        "a {word} story about {a} and the {thing}",
        'the scene in the {place} is " {word} "',
        "{word} from the first minute to the last",
    )
    rows = fill(rng, count, "01")
    return [
        (label, rng.choice(frames).format(word=rng.choice(PRAISE[label]), **words).lower())
        for label, words in rows
    ]


def paraphrases(rng: random.Random, count: int) -> List[Tuple[str, str, str]]:
    first = "{a} {v} a {adj} {thing} near the {place}."
    second = {
        "1": "Near the {place}, {a} {w} a {adj} {thing}.",
        "0": '{b} {w} an "{opposite}" {other} in {city}.',
    }
    rows = []
    for label, words in fill(rng, count, "01"):
        verb, synonym = rng.choice(SYNONYMS)
        pair = [frame.format(v=verb, w=synonym, **words) for frame in (first, second[label])]
        rows.append((label, pair[0], pair[1]))
    return rows


def similarities(rng: random.Random, count: int) -> List[Tuple[str, str, str]]:
    frames = {
        "5.000": "{a} {w} a {adj} {thing} near the {place}.",
        "3.600": '{a} {w} an "{opposite}" {thing} near the {place}.',
        "1.800": "{a} {w} some {extra}s in {city}.",
        "0.000": "The {other} belongs to {b}.",
    }
    rows = []
    for label, words in fill(rng, count, tuple(frames)):
        verb, synonym = rng.choice(SYNONYMS)
        first = "{a} {v} a {adj} {thing} near the {place}.".format(v=verb, **words)
        rows.append((label, first, frames[label].format(w=synonym, **words)))
    return rows


def question_pairs(rng: random.Random, count: int) -> List[Tuple[str, str, str]]:
    frames = {
        "1": ("How can I repair a {adj} {thing}?", "What is the way to mend a {adj} {thing}?"),
        "0": ("How can I repair a {adj} {thing}?", 'Where is the "{place}" of {city}?'),
    }
    return [
        (label, *(frame.format(**words) for frame in frames[label]))
        for label, words in fill(rng, count, "01")
    ]


def inferences(
    rng: random.Random, count: int, labels: Sequence[str] = NLI
) -> List[Tuple[str, str, str]]:
    premise = "{a} carried a {adj} {thing} to the {place} while {b} waited."
    hypotheses = {
        "entailment": "{a} carried a {thing}.",
        "neutral": '{a} likes the "{other}" of {b}.',
        "contradiction": "{a} did not carry a {thing}.",
        "not_entailment": '{b} carried nothing to the "{elsewhere}".',
    }
    return [
        (label, premise.format(**words), hypotheses[label].format(**words))
        for label, words in fill(rng, count, labels)
    ]


def answered(rng: random.Random, count: int) -> List[Tuple[str, str, str]]:
    frames = {
        "entailment": '{a} put the {thing} into the "{place}".',
        "not_entailment": "{b} has lived in {city} for years.",
    }
    return [
        (label, "Where did {a} put the {thing}?".format(**words), frames[label].format(**words))
        for label, words in fill(rng, count, RTE)
    ]


def winograd(rng: random.Random, count: int) -> List[Tuple[str, str, str]]:
    rows = []
    for label, words in fill(rng, count, "01"):
        text, first, second, answer = rng.choice(WINOGRAD)
        named = {"1": (first, second), "0": (second, first)}[label][0 if answer == 1 else 1]
        hypothesis = re.sub(r".*because (it|they)", named, text.split(". ")[0])
        rows.append((label, text.format(**words), hypothesis.format(**words)))
    return rows


def boolq(rng: random.Random, count: int) -> Objects:
    passage = (
        "{thing} of {city} -- The {adj} {thing} of {city} stands in the {place}. It was made by "
        '{a}, who called it "the {extra}". Visitors from {town} see it every year.'
    )
    asked = {
        "1": "is the {thing} of {city} in the {place}",
        "0": "did {b} make the {other} of {town}",
    }
    objects = []
    for label, words in fill(rng, count, "01"):
        text = passage.format(**words)
        objects.append({
            "question": asked[label].format(**words), "passage": text[0].upper() + text[1:],
            "idx": len(objects), "label": label == "1",
        })  # fmt: skip
    return objects


def premise_objects(
    rng: random.Random, count: int, labels: Sequence[str], names: Tuple[str, str]
) -> Objects:
    rows = inferences(rng, count, labels)
    return [
        {names[0]: first, names[1]: second, "label": label, "idx": number}
        for number, (label, first, second) in enumerate(rows)
    ]


def copa(rng: random.Random, count: int) -> Objects:
    objects: Objects = []
    for label, words in fill(rng, count, "01"):
        (cause, effect), (wrong_cause, wrong_effect) = rng.sample(CAUSES, 2)
        asked = ("cause", "effect")[len(objects) % 2]
        premise, right, wrong = (
            (effect, cause, wrong_cause) if asked == "cause" else (cause, effect, wrong_effect)
        )
        choices = (right, wrong) if label == "0" else (wrong, right)
        objects.append({
            "premise": premise.format(**words), "choice1": choices[0].format(**words),
            "choice2": choices[1].format(**words), "question": asked, "label": int(label),
            "idx": len(objects),
        })  # fmt: skip
    return objects


def multirc(rng: random.Random, count: int) -> Objects:
    objects: Objects = []
    numbers, asked_numbers = itertools.count(), itertools.count()
    for number in range(count // 2):
        w = cast(rng)
        sentences = [
            f"{w['a']} and {w['b']} went to the {w['place']} in {w['city']}.",
            f"They took a {w['adj']} {w['thing']} and a {w['other']} with them.",
            f'Only {w["c"]} stayed at home and said "good luck".',
        ]
        text = " ".join(sentences)
        if number % 3 == 0:
            parts = (f"<b>Sent {n}: </b>{sentence}<br>" for n, sentence in enumerate(sentences, 1))
            text = "".join(parts)
        asked = {
            f"Who went to the {w['place']}?": (
                (w["a"], 1), (w["b"], 1), (w["c"], 0), ("Nobody", 0),
            ),
            "What did they take with them?": (
                (f"A {w['extra']}", 0), (f"A {w['adj']} {w['thing']}", 1), (f"A {w['spare']}", 0),
                (f"A {w['other']}", 1),
            ),
        }  # fmt: skip
        questions = [
            {
                "question": question,
                "answers": [
                    {"text": answer, "idx": next(numbers), "label": label}
                    for answer, label in answers
                ],
                "idx": next(asked_numbers),
            }
            for question, answers in asked.items()
        ]
        passage = {"text": text, "questions": questions}
        objects.append({"idx": number, "version": 1.1, "passage": passage})
    return objects


def record(rng: random.Random, count: int) -> Objects:
    objects: Objects = []
    for number in range(count):
        w = cast(rng)
        text = (
            f"{w['a']} of {w['city']} has found a {w['adj']} {w['thing']} in the {w['place']}. "
            f"The owner, {w['b']}, had left it there.\n@highlight\n{w['a']} wants no reward\n"
            f"@highlight\n{w['c']} of {w['town']} knew nothing of it"
        )
        names = [w[key] for key in ("a", "b", "c", "city", "town")]
        spans = sorted(
            match.span() for name in names for match in re.finditer(rf"\b{re.escape(name)}\b", text)
        )
        who, query = (
            (w["a"], f'"I want no reward for the {w["thing"]}," @placeholder said.')
            if number % 2 == 0
            else (w["b"], f"The {w['thing']} went back to @placeholder, who had left it.")
        )
        answers = [
            {"start": start, "end": end - 1, "text": who}
            for start, end in spans
            if text[start:end] == who
        ]
        entities = [{"start": start, "end": end - 1} for start, end in spans]
        objects.append({
            "source": "Written for this project", "passage": {"text": text, "entities": entities},
            "qas": [{"query": query, "answers": answers, "idx": number}], "idx": number,
        })  # fmt: skip
    return objects


def wic(rng: random.Random, count: int) -> Objects:
    objects: Objects = []
    for label, _ in fill(rng, count, "01"):
        word = rng.choice(sorted(SENSES))
        one, two = rng.sample(SENSES[word], 2)
        first, second = rng.sample(one, 2) if label == "1" else (rng.choice(one), rng.choice(two))
        values: Dict[str, Any] = {"word": word, "sentence1": first, "sentence2": second}
        for number, sentence in ((1, first), (2, second)):
            found = re.search(rf"\b{word}(?:e?s)?\b", sentence, re.IGNORECASE)
            assert found is not None, sentence
            values[f"start{number}"], values[f"end{number}"] = found.span()
        objects.append({**values, "idx": len(objects), "label": label == "1", "version": 1.1})
    return objects


def wsc(rng: random.Random, count: int) -> Objects:
    objects: Objects = []
    for label, words in fill(rng, count, "01"):
        text, first, second, answer = rng.choice(WINOGRAD)
        right, wrong = (first, second) if answer == 1 else (second, first)
        text, span = text.format(**words), (right if label == "1" else wrong).format(**words)
        parts = text.split()
        pronoun = next(n for n, part in enumerate(parts) if part in ("it", "they"))
        length = len(span.split())
        start = next(
            n for n in range(len(parts)) if " ".join(parts[n : n + length]).lower() == span.lower()
        )
        target = {
            "span1_text": span, "span1_index": start, "span2_text": parts[pronoun],
            "span2_index": pronoun,
        }  # fmt: skip
        objects.append({
            "text": text, "target": target, "idx": len(objects), "label": label == "1",
        })  # fmt: skip
    return objects


def winogender(rng: random.Random, count: int) -> Objects:
    objects: Objects = []
    for pair in range(count // 2):
        w, label = cast(rng), RTE[pair % 2]
        who = "carpenter" if label == "entailment" else "teacher"
        task = f"mend the {w['thing']}"
        for pronoun in ("he", "she"):
            objects.append({
                "premise": f"The carpenter told the teacher that {pronoun} would {task}.",
                "hypothesis": f"The {who} would {task}.",
                "label": label, "idx": len(objects), "pair_id": pair,
            })  # fmt: skip
    return objects


def race(rng: random.Random, passages: int, level: str) -> Objects:
    objects: Objects = []
    turns = itertools.cycle("ABCD")
    for number in range(passages):
        w = cast(rng)
        article = (
            f"Last summer {w['a']} moved from {w['town']} to {w['city']}. On the first day "
            f"{w['a']} lost a {w['adj']} {w['thing']} in the {w['place']}.\n"
            f"A neighbour called {w['b']} "
            f'found it and said, "You must be new here." Since then they have been friends.'
        )
        asked = {
            f"What did {w['a']} lose?": [w["thing"], w["other"], w["extra"], w["spare"]],
            f"{w['b']} was _ .": ["a neighbour", "a teacher", "a doctor", "nobody"],
        }
        questions, options, answers = [], [], []
        for question, several in asked.items():
            letter = next(turns)
            right, wrong = several[0], several[1:]
            wrong.insert("ABCD".index(letter), right)
            questions.append(question)
            options.append(wrong)
            answers.append(letter)
        objects.append({
            "article": article, "questions": questions, "options": options, "answers": answers,
            "id": f"{level}{number + 1}.txt",
        })  # fmt: skip
    return objects
