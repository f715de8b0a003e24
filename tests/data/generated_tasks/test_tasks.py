"""Generated tasks: labels against the grammar's truth by another way, splits apart, files read."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from bort.agora.examples import Example, normalised_key
from bort.errors import InputError
from bort.tasks.records import get_task
from data.generated_english.corpus import document, tokenize, words
from data.generated_english.lexicon import DAYS, PLAIN_VERBS, PRONOUNS_OF_NAME
from data.generated_english.topics import TOPICS
from data.generated_tasks.tasks import (
    FORMAT_OF_TASK,
    GENERATED_SPLITS,
    GENERATED_TASKS,
    GeneratedTasksConfig,
    generate_task,
    write_tasks,
)
from data.tasks.files import read_items, read_labelled_file

SEED = 3
CONFIG = GeneratedTasksConfig("unused", train_size=150, dev_size=40, report_size=60, seed=SEED)


@pytest.fixture(scope="module", params=GENERATED_TASKS)
def task(request):
    return request.param, generate_task(CONFIG, request.param)


def examples_of(splits):
    return [example for split in GENERATED_SPLITS for example in splits[split]]


def source(example):
    return document(SEED, int(example.origin.split()[1].rstrip(":")))


def test_splits_have_their_sizes_and_share_nothing(task):
    _, splits = task
    assert [len(splits[name]) for name in GENERATED_SPLITS] == [150, 40, 60]
    keys = [normalised_key(Example.from_texts(*e.texts)) for e in examples_of(splits)]
    assert len(set(keys)) == len(keys)
    known = set(words())
    for example in examples_of(splits):
        assert set(tokenize(" ".join(example.texts))) <= known


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_labels_have_the_share_that_is_asked_for(share):
    config = GeneratedTasksConfig(
        "unused", train_size=100, dev_size=20, report_size=2, positive_share=share
    )
    for name in GENERATED_TASKS:
        for split, size in (("train", 100), ("dev", 20)):
            positive = [
                e.label >= (3 if name == "similarity" else 1)
                for e in generate_task(config, name)[split]
            ]
            assert sum(positive) == round(size * share)
            if split == "train":  # the few of the other could all be on one side by chance
                assert len(set(positive[: len(positive) // 2])) == 2, "shuffled"


def test_the_same_seed_gives_the_same_examples_and_another_seed_others(task):
    name, splits = task
    assert generate_task(CONFIG, name) == splits
    other = GeneratedTasksConfig("unused", train_size=150, dev_size=40, seed=SEED + 1)
    assert generate_task(other, name)["train"] != splits["train"]


def test_acceptable_sentences_are_the_grammars_and_others_break_it_in_one_word():
    kinds = set()
    several = dataclasses.replace(CONFIG, train_size=600)  # one kind is rare
    for example in examples_of(generate_task(several, "acceptability")):
        sentences = source(example).structure
        (text,) = example.texts
        if example.label == 1:
            assert text in [sentence.text for sentence in sentences]
            continue
        found = tokenize(text)
        differing = []
        for sentence in sentences:
            tokens = tokenize(sentence.text)
            places = [i for i, (a, b) in enumerate(zip(tokens, found)) if a.lower() != b.lower()]
            if len(tokens) == len(found) and len(places) == 1:
                differing.append((sentence, tokens[places[0]], found[places[0]]))
        (sentence, old, new) = differing[0]
        (part, *_) = [p for p in sentence.parts if p.span.of(sentence.text).lower() == old.lower()]
        kinds.add(part.role)
        if part.role == "verb":
            assert old.endswith("s") == (part.number == "singular")
            assert new.endswith("s") != old.endswith("s") or {old, new} == {"is", "are"}
        elif part.role == "reflexive":
            assert {old, new} == {"himself", "herself"}
        else:
            assert {old.lower(), new.lower()} in ({"this", "these"}, {"that", "those"})
            assert (old.lower() in ("this", "that")) == (part.number == "singular")
    assert kinds == {"verb", "reflexive", "determiner"}
    assert all(verb.base != verb.third for verb in PLAIN_VERBS.values())


PATTERNS = (
    (r"(\w+) lives in an? (\w+)\.", "home"),
    (r"(\w+) is from (\w+)\.", "town"),
    (r"(\w+) owns an? (\w+)\.", "owns"),
    (r"(\w+) loves (\w+)\.", "food"),
    (r"(\w+'s \w+) is near the (\w+)\.", "landmark"),
    (r"(\w+'s \w+) is (\w+)\.", "colour"),
    (r"(\w+) is an? (\w+)\.", "profession or animal"),
)


def test_entailed_is_what_the_premise_states():
    seen = set()
    for example in examples_of(generate_task(CONFIG, "entailment")):
        story = source(example)
        premise, claim = example.texts
        (sentence,) = [s for s in story.structure if s.text == premise]
        subject, value, relation = next(
            (*match.groups(), relation)
            for pattern, relation in PATTERNS
            for match in [re.fullmatch(pattern, claim)]
            if match
        )
        if relation == "profession or animal":
            relation = "profession" if subject in PRONOUNS_OF_NAME else "animal"
        seen.add((relation, example.label))
        known = (subject, relation) in sentence.facts
        holds = known and story.fact(subject, relation).value == value
        assert holds == (example.label == 1), (premise, claim)
        if relation == "town" and holds:
            assert f"from {value}" in premise
    assert len(seen) == 2 * 8, "every relation, with both labels"


def test_the_right_name_is_the_one_that_the_pronoun_fits():
    for example in examples_of(generate_task(CONFIG, "coreference")):
        sentence, clause = example.texts
        name, rest = clause.split(" ", 1)
        match = re.search(r"\b(she|he) " + re.escape(rest) + "$", sentence)
        before = [n for n in tokenize(sentence[: match.start()]) if n in PRONOUNS_OF_NAME]
        assert len(set(before)) == 2
        assert name in before
        fits = [n for n in set(before) if PRONOUNS_OF_NAME[n].subject == match.group(1)]
        assert len(fits) == 1, "nothing is left open"
        assert (name == fits[0]) == (example.label == 1)


def test_similarity_counts_what_is_the_same():
    lemmas = {
        form: noun.singular
        for topic in TOPICS
        for activity in topic.activities
        for noun in activity.objects
        for form in (noun.singular, noun.plural)
    }

    def slots(text):
        found = tokenize(text)
        (day,) = [token for token in found if token in DAYS]
        at = found.index("the")
        return (day, found[at - 2], found[at + 1], lemmas[found[at + 2]], found[at + 5])

    scores = set()
    for example in examples_of(generate_task(CONFIG, "similarity")):
        first, second = map(slots, example.texts)
        assert example.label == sum(a == b for a, b in zip(first, second))
        scores.add(example.label)
    assert scores == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}


def test_exchanged_neighbours_are_a_sentence_that_no_rule_makes():
    exchanged = 0
    for example in examples_of(generate_task(CONFIG, "order")):
        texts = [sentence.text for sentence in source(example).structure]
        (text,) = example.texts
        if example.label == 1:
            assert text in texts
            continue
        exchanged += 1
        assert text not in texts
        (original,) = [one for one in texts if sorted(one.split()) == sorted(text.split())]
        pairs = list(zip(original.split(), text.split()))
        places = [n for n, (a, b) in enumerate(pairs) if a != b]
        assert len(places) == 2
        assert places[1] == places[0] + 1
        assert places[0] > 0, "a capital in the middle would tell"
    assert exchanged == 125


def test_the_actor_is_the_subject_and_no_other_person():
    others = 0
    for example in examples_of(generate_task(CONFIG, "actor")):
        (text,) = example.texts
        name = example.origin.split()[-1]
        assert PRONOUNS_OF_NAME[name].subject == ("she" if example.label else "he")
        assert re.search(rf"\b{name} (?!')", text), "named, and not as an owner"
        found = set(tokenize(text)) & set(PRONOUNS_OF_NAME)
        others += any(
            PRONOUNS_OF_NAME[one].subject != PRONOUNS_OF_NAME[name].subject for one in found
        )
    assert others > 30, "the other sex is often named too"


def test_the_files_are_those_of_glue(tmp_path, task):
    name, splits = task
    root = tmp_path / "tasks"
    config = GeneratedTasksConfig(
        str(root), (name,), train_size=150, dev_size=40, report_size=60, seed=SEED
    )
    assert write_tasks(config) == {name: {n: len(e) for n, e in splits.items()}}
    record = get_task(FORMAT_OF_TASK[name])
    read = {split: read_items(record, split, root / name) for split in ("train", "dev")}
    read["report"] = read_labelled_file(record, root / name / FORMAT_OF_TASK[name] / "report.tsv")
    for split, items in read.items():
        texts = [tuple(item.text(field) for field in record.fields) for item in items]
        assert texts == [example.texts for example in splits[split]]
        labels = [item.label for item in items]
        if record.is_regression:
            assert labels == [example.label for example in splits[split]]
        else:
            assert labels == [record.labels[int(e.label)] for e in splits[split]]
    assert "Synthetic" in json.loads((root / "about.json").read_text())["notice"]
    with pytest.raises(InputError, match="exists already"):
        write_tasks(config)


def test_more_than_there_is_is_refused_and_sizes_are_checked(monkeypatch):
    monkeypatch.setattr("data.generated_tasks.tasks._DOCUMENTS_PER_EXAMPLE", 0.1)
    with pytest.raises(InputError, match="train_size is 150, .* only .* of coreference"):
        generate_task(CONFIG, "coreference")
    with pytest.raises(InputError, match="train_size is 1, allowed is at least 2"):
        GeneratedTasksConfig("unused", train_size=1)
    with pytest.raises(InputError, match="task is 'parsing', allowed are acceptability"):
        generate_task(CONFIG, "parsing")


def test_the_folder_appears_with_all_its_files(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    config = dataclasses.replace(CONFIG, output_dir=str(tmp_path / "out"), tasks=("order",))
    monkeypatch.setattr("data.generated_tasks.tasks.write_json", fail)
    with pytest.raises(KeyboardInterrupt):
        write_tasks(config)
    assert list(tmp_path.iterdir()) == []
