"""The data of a task: too few rows, one class, texts in another language."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any, Callable, Sequence, Tuple

import numpy as np
import pytest

from bort.errors import InputError
from bort.tasks.records import get_task
from bort.text.byte_bpe import ByteBPE
from bort.text.wordpiece import wordpiece_vocabulary
from data.tasks.own_description import resolve_task
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.task import SmallTask, open_small_task
from experiments.small_model.task_check import (
    check_is_trainable,
    check_task_data,
    single_letters,
    unknown_tokens,
)
from tests.experiments.small_model.small_model_samples import (
    sentences,
    write_task,
    write_teacher,
)

ENGLISH = ["The wheel is broken and the bell is rusty", "please send two new lamps"]
RUSSIAN = ["Колесо сломано, а звонок ржавый", "пришлите две новые лампы"]
CHINESE = ["车轮坏了，铃也生锈了", "请寄两盏新灯"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

Open = Callable[[Sequence[Tuple[str, str]]], SmallTask]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: Any) -> Path:
    return write_teacher(tmp_path_factory.mktemp("teacher") / "model")


@pytest.fixture
def opened(teacher: Path, tmp_path: Path) -> Open:
    def open_rows(rows: Sequence[Tuple[str, str]]) -> SmallTask:
        path = tmp_path / "reviews.csv"
        with open(path, "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("text", "label"), *rows])
        config = SmallModelConfig(str(teacher), str(path), "out", "1", speed_up=2.0, max_len=64)
        return open_small_task(resolve_task(str(path)), config)

    return open_rows


def test_enough_rows_in_the_language_of_the_teacher(opened: Open) -> None:
    found = check_task_data(opened(sentences(400)), "teacher")
    assert found.facts["rows"] == found.facts["train"] + found.facts["dev"] + found.facts["report"]
    assert found.unknown_share == 0
    assert found.single_letters < 0.2
    assert any("dev split has 4" in note and "standard error" in note for note in found.notes)


def test_many_texts_that_are_shortened_are_told(opened: Open) -> None:
    rows = sentences(400)
    assert not any("shortened" in one for one in check_task_data(opened(rows), "teacher").notes)
    long = [(" ".join([text] * 40), label) for text, label in rows[:200]]
    (note,) = (
        one
        for one in check_task_data(opened([*long, *rows[200:]]), "teacher").notes
        if "shortened" in one
    )
    assert "% of the training inputs are longer than 64 tokens and are shortened" in note
    assert 40 < int(note.split(" ")[0]) < 60
    assert 50 < int(note.split("drops ")[1].split(" ")[0]) < 100


def _of_numbers(opened: Open, number_of: Callable[[int], float]) -> SmallTask:
    texts = [text for text, _ in sentences(400)]
    return opened([(text, f"{number_of(n)}") for n, text in enumerate(texts)])


def test_equal_numbers_of_a_scored_split_are_refused(opened: Open) -> None:
    task = _of_numbers(opened, lambda n: n + 0.5)
    assert not any("outside" in note for note in check_task_data(task, "teacher").notes)
    (dev,) = task.data.dev
    equal = [dataclasses.replace(item, label=3.0) for item in dev.items]
    data = dataclasses.replace(task.data, dev=[dataclasses.replace(dev, items=equal)])
    with pytest.raises(InputError, match=r"all 40 numbers of the dev split are 3.0.*split_seed"):
        check_task_data(dataclasses.replace(task, data=data), "teacher")
    equal = [dataclasses.replace(item, label=3.0) for item in task.whole.report_items]
    whole = dataclasses.replace(task.whole, report_items=equal)
    with pytest.raises(InputError, match=r"numbers of the report split are 3.0"):
        check_task_data(dataclasses.replace(task, whole=whole), "teacher")


def test_numbers_that_no_prediction_reaches_are_told(opened: Open) -> None:
    task = _of_numbers(opened, lambda n: n + 0.5)
    items = [
        dataclasses.replace(item, label=1e4) if n < 3 else item
        for n, item in enumerate(task.whole.report_items)
    ]
    whole = dataclasses.replace(task.whole, report_items=items)
    notes = check_task_data(dataclasses.replace(task, whole=whole), "teacher").notes
    (note,) = (one for one in notes if "outside" in one)
    assert note == (
        f"3 of the {len(items)} numbers of the report split are outside of 0.5 to 399.5, the range "
        "of the task: predictions do not leave it"
    )


def test_many_scored_rows_need_no_note(opened: Open) -> None:
    task = opened(sentences(2400))
    assert not any("standard error" in one for one in check_task_data(task, "teacher").notes)


def test_few_rows_are_told_how_many_are_enough(opened: Open) -> None:
    with pytest.raises(
        InputError,
        match="reviews: the dev split has . rows, needed are 10; about 100 labelled rows",
    ):
        check_task_data(opened(sentences(50)), "teacher")


def test_a_report_split_that_is_too_small_is_found(opened: Open) -> None:
    task = opened(sentences(400))
    whole = dataclasses.replace(task.whole, report_items=task.whole.report_items[:3])
    with pytest.raises(InputError, match="the report split has 3 rows, needed are 10"):
        check_task_data(dataclasses.replace(task, whole=whole), "teacher")


def test_a_report_file_that_is_too_short_needs_rows_of_its_own(
    teacher: Path, tmp_path: Path
) -> None:
    paths = {name: tmp_path / f"{name}.csv" for name in ("reviews", "report")}
    rows = sentences(404)
    for path, part in zip(paths.values(), (rows[:400], rows[400:])):
        with open(path, "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("text", "label"), *part])
    name, report = map(str, paths.values())
    config = SmallModelConfig(
        str(teacher), name, "out", "1", speed_up=2.0, max_len=64, report_file=report
    )
    task = open_small_task(resolve_task(name, report_file=report), config)
    with pytest.raises(InputError, match="split has 4 rows, needed are 10; add rows to its file$"):
        check_task_data(task, "teacher")


def test_training_rows_of_one_class_are_refused(opened: Open) -> None:
    task = opened(sentences(400))
    train = task.data.train
    features = dataclasses.replace(train.features, labels=np.zeros_like(train.features.labels))
    data = dataclasses.replace(task.data, train=dataclasses.replace(train, features=features))
    with pytest.raises(InputError, match="all 3.. training rows have one label"):
        check_task_data(dataclasses.replace(task, data=data), "teacher")


def test_a_file_with_one_class_is_refused_when_it_is_read(opened: Open) -> None:
    with pytest.raises(InputError, match="allowed are two classes or more"):
        opened([(text, "good") for text, _ in sentences(100)])


def test_texts_that_the_vocabulary_does_not_know_are_refused(opened: Open) -> None:
    rows = [(f"{RUSSIAN[n % 2]} {n * n}", str(n % 2)) for n in range(300)]
    with pytest.raises(InputError) as caught:
        check_task_data(opened(rows), "runs/minilm")
    message = str(caught.value)
    assert message.startswith("reviews: ")
    assert "of the teacher runs/minilm, allowed are " in message
    assert "name a teacher of their language" in message


@pytest.mark.parametrize(
    ("name", "message"),
    [("SQuAD", "are spans of a passage"), ("AX", "no training data; allowed is 'MNLI'")],
)
def test_a_task_without_training_data_or_with_spans_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_is_trainable(get_task(name))
    check_is_trainable(get_task("STS-B"))


def wordpiece(*pieces: str) -> Any:
    return wordpiece_vocabulary([*SPECIAL, *pieces], True, "here")


LETTERS = [chr(code) for code in range(ord("а"), ord("я") + 1)]
WORDS = sorted({word for text in ENGLISH for word in text.lower().split()})


def share(texts: Sequence[str], vocabulary: Any) -> float:
    return single_letters(texts, vocabulary.encode_batch(texts), vocabulary)


def test_known_words_do_not_fall_into_letters() -> None:
    assert share(ENGLISH, wordpiece(*WORDS)) == 0


def test_a_vocabulary_that_knows_letters_alone_is_found() -> None:
    vocabulary = wordpiece(*WORDS, ",", *LETTERS, *(f"##{one}" for one in LETTERS))
    assert unknown_tokens(vocabulary.encode_batch(RUSSIAN), vocabulary) == 0
    assert share(RUSSIAN, vocabulary) > 0.9


def test_a_vocabulary_without_the_letters_has_unknown_tokens() -> None:
    vocabulary = wordpiece(*WORDS)
    assert unknown_tokens(vocabulary.encode_batch(RUSSIAN), vocabulary) > 0.5
    assert unknown_tokens(vocabulary.encode_batch(ENGLISH), vocabulary) == 0


def test_chinese_letters_stand_alone_in_a_chinese_vocabulary_too() -> None:
    vocabulary = wordpiece("，", *sorted({letter for text in CHINESE for letter in text} - {"，"}))
    assert share(CHINESE, vocabulary) == 0


def test_pieces_of_letters_count_as_letters(shared_data: Path) -> None:
    from bort.text.vocabularies import load_vocabulary

    vocabulary = load_vocabulary(shared_data / "roberta_vocab")
    assert isinstance(vocabulary, ByteBPE)
    assert share(ENGLISH, vocabulary) < 0.1
    assert share(RUSSIAN, vocabulary) > 0.9
    assert share(CHINESE, vocabulary) > 0.9


def test_a_file_of_the_samples_is_a_task(tmp_path: Path) -> None:
    record = resolve_task(str(write_task(tmp_path / "reviews.csv")))
    assert (record.name, record.labels) == ("reviews", ("bad", "good"))
