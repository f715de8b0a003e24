"""The predictor on a NumPy engine: order, independence, unusual texts, models that do not fit."""

from __future__ import annotations

from itertools import count, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bort
from bort.errors import InputError, WorkError
from bort.inference.predictor import Predictor
from bort.inference.results import Classification, FilledText, Regression
from bort.network.description import TaskDescription
from bort.network.head import HeadDescription
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.pair_form import BERT_PAIRS, PairForm
from bort.text.wordpiece import wordpiece_vocabulary
from data.tasks.files import read_items
from tests.inference.fake_engine import (
    HIDDEN,
    VOCABULARY,
    FakeEngine,
    describe,
    describe_task,
    encoder_predictor,
    masked_predictor,
    task_predictor,
    text_predictor,
)
from tests.tasks.task_samples import CLASSIFIED

ODD = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x00\ud800\udfff\ufffd\u200b\u2028\ufeff \t\r\n\U0001f469\u200d"),
        st.sampled_from("abc "),
    ),
    max_size=40,
)
TEXTS = st.lists(ODD, min_size=1, max_size=12)


def test_the_public_name():
    assert bort.Predictor is Predictor


@given(TEXTS, st.integers(1, 200))
def test_an_answer_does_not_depend_on_what_else_is_asked(texts, batch_tokens):
    together = text_predictor(batch_tokens=batch_tokens)(texts)
    alone = [text_predictor()(text) for text in texts]
    assert together == alone
    turned = text_predictor(batch_tokens=batch_tokens)(texts[::-1])
    assert turned[::-1] == together


@given(TEXTS, st.integers(1, 9))
def test_windows_change_nothing(texts, window):
    predictor = text_predictor()
    assert list(predictor.stream(texts, window=window)) == predictor(texts)


@given(TEXTS)
def test_odd_texts_have_an_answer(texts):
    for answer in text_predictor()(texts):
        assert isinstance(answer, Classification)
        assert sum(answer.probabilities.values()) == pytest.approx(1)
    for filled, text in zip(masked_predictor()([f"{t}<mask>{t}" for t in texts]), texts):
        assert len(filled.masks) == 1 + 2 * text.count("<mask>")
        filled.text.encode()
    vectors = encoder_predictor().embed(texts)
    assert vectors.shape == (len(texts), HIDDEN)
    assert np.isfinite(vectors).all()


@given(TEXTS)
def test_pairs_keep_their_order(texts):
    pairs = [(one, two) for one in texts for two in texts[:2]]
    predictor = task_predictor("STS-B")
    answers = predictor(pairs)
    assert answers == [predictor([pair])[0] for pair in pairs]
    assert all(isinstance(answer, Regression) for answer in answers)


@pytest.mark.parametrize("record", CLASSIFIED, ids=lambda record: record.name)
def test_every_task_answers_its_official_items(record):
    items = read_items(record, record.splits[-1].name, sample=True)
    predictor = task_predictor(record.model_task, max_length=64)
    if record.model_task != record.name:
        questions = [tuple(item.text(name) for name in record.fields) for item in items]
    else:
        questions = [item.fields for item in items]
    answers = predictor(questions)
    assert len(answers) == len(items)
    assert answers[::-1] == predictor(questions[::-1])
    for answer in answers:
        assert str(answer)
        assert answer.as_dict()
        assert answer.columns()


def test_one_question_has_one_answer():
    predictor = task_predictor("RTE")
    question = {"sentence1": "It rained.", "sentence2": "It was wet."}
    assert predictor(question) == predictor([("It rained.", "It was wet.")])[0]
    assert isinstance(text_predictor()("a"), Classification)
    assert encoder_predictor()("a").shape == (HIDDEN,)


def test_nothing_asked_is_nothing_answered():
    assert text_predictor()([]) == []
    assert masked_predictor().fill_masks([]) == []
    assert encoder_predictor().embed([]).shape == (0, HIDDEN)


def test_a_stream_may_be_endless():
    stream = text_predictor().stream((f"number {n}" for n in count()), window=7)
    answers = list(islice(stream, 20))
    assert answers == text_predictor()([f"number {n}" for n in range(20)])


def test_long_inputs_are_shortened_and_counted():
    predictor = task_predictor("RTE")  # at most 48 tokens
    assert predictor.truncated == 0
    long = "It rained and rained. " * 40
    answers = predictor([("short", "text"), (long, "It was wet."), (long, long)])
    assert len(answers) == 3
    assert predictor.truncated == 2
    predictor([(long, "again")])
    assert predictor.truncated == 3
    # the premise is shortened, the hypothesis is not
    assert predictor([(long, "x")])[0] == predictor([(long + "and more", "x")])[0]
    assert predictor([(long, "x")])[0] != predictor([(long, "y")])[0]


def test_masks_stay_in_a_text_that_is_too_long():
    predictor = masked_predictor()
    text = "It rained. " * 60 + "The <mask> was wet. " + "It rained. " * 60
    (filled,) = predictor([text])
    assert predictor.truncated == 1
    assert filled.text.startswith("It rained. It rained.")
    assert len(filled.text) > 1200
    with pytest.raises(InputError, match="item 1: the text that must be kept, '<mask> <mask>"):
        predictor(["<mask>", "<mask>" * 80])


def test_masks_are_filled_with_the_most_probable_tokens():
    predictor = masked_predictor()
    one, two = predictor.fill_masks(["<mask> the [MASK].", "on <mask>"], top_k=3)
    assert isinstance(one, FilledText)
    assert [len(mask) for mask in one.masks] == [3, 3]
    assert [len(mask) for mask in two.masks] == [3]
    for mask in (*one.masks, *two.masks):
        probabilities = [guess.probability for guess in mask]
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(guess.token_id not in VOCABULARY.special_ids for guess in mask)
        assert all(VOCABULARY.token_of(guess.token_id) == guess.token for guess in mask)
    assert "<mask>" not in one.text
    assert predictor.fill_masks(["on <mask>"], top_k=3) == [two]
    # the model is shown what the task of pre-training shows: no space before a mask
    assert predictor.fill_masks(["on<mask>"], top_k=3)[0].masks == two.masks


def test_masks_of_many_texts_are_computed_together_but_not_all_at_once():
    predictor = masked_predictor()
    texts = [f"{'on ' * (n % 5)}<mask>{' <mask>' * (n % 3)}" for n in range(40)]
    assert predictor(texts) == [predictor(text) for text in texts]


def test_embeddings_are_what_they_say():
    predictor = encoder_predictor()
    texts = ["a", "the rain", ""]
    mean, cls = predictor.embed(texts), predictor.embed(texts, pooling="cls")
    engine = FakeEngine(describe())
    for row, text in enumerate(texts):
        ids = [VOCABULARY.bos_id, *VOCABULARY.encode(text), VOCABULARY.eos_id]
        states = engine.encode(np.array([ids]), np.array([len(ids)]))[0]
        np.testing.assert_allclose(mean[row], states.mean(axis=0), rtol=1e-6)
        np.testing.assert_array_equal(cls[row], states[0])
    unit = predictor.embed(texts, normalise=True)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(unit * np.linalg.norm(mean, axis=1, keepdims=True), mean, rtol=1e-5)
    assert mean.dtype == unit.dtype == np.float32


def test_a_classifier_and_a_mask_filler_embed_too():
    assert text_predictor().embed(["a"]).shape == (1, HIDDEN)
    assert masked_predictor().embed(["a"]).shape == (1, HIDDEN)


@pytest.mark.parametrize(
    ("predictor", "purpose", "message"),
    [
        (text_predictor, "masked", "the model: has no decoder"),
        (encoder_predictor, "masked", "the model: has no decoder"),
        (encoder_predictor, "task", "the model: has no head"),
        (masked_predictor, "task", "the model: has no head"),
        (masked_predictor, "tasks", "purpose is 'tasks', allowed are task, masked, embeddings"),
    ],
)
def test_what_a_model_is_not_for(predictor, purpose, message):
    with pytest.raises(InputError, match=message):
        list(predictor().stream(["a"], purpose=purpose))


def test_bad_settings_are_named():
    with pytest.raises(InputError, match="pooling is 'median', allowed are mean, cls"):
        encoder_predictor().embed(["a"], pooling="median")
    with pytest.raises(InputError, match="top_k is 0, allowed is at least 1"):
        masked_predictor().fill_masks(["<mask>"], top_k=0)
    with pytest.raises(InputError, match="window is 0"):
        list(text_predictor().stream(["a"], window=0))
    with pytest.raises(InputError, match="batch_tokens is 0"):
        text_predictor(batch_tokens=0)
    for length in (4, 65, "8", True):
        with pytest.raises(InputError, match=f"max_length is {length!r}, allowed are 5 to 64"):
            text_predictor(max_length=length)
    for ask in (encoder_predictor().embed, masked_predictor().fill_masks):
        with pytest.raises(InputError, match="'a' is not allowed, expected a list of questions"):
            ask("a")
    with pytest.raises(InputError, match="'5' is not allowed, expected a list of questions"):
        text_predictor()(5)


def test_the_question_that_is_wrong_is_numbered():
    with pytest.raises(InputError, match="item 2: sentence2 is None"):
        task_predictor("RTE")([("a", "b"), ("c", "d"), ("e", None)])
    with pytest.raises(InputError, match="item 9: is 7"):
        list(text_predictor().stream([*"abcdefghi", 7], window=4))


def opened(description, vocabulary=VOCABULARY):
    return Predictor(FakeEngine(description), vocabulary, source="folder")


def test_another_vocabulary_is_refused():
    with pytest.raises(InputError, match=r"folder: the vocabulary \(.*\) is not the one that"):
        opened(describe(vocabulary_fingerprint="0" * 64))
    shorter = describe()
    architecture = shorter.architecture.replace(vocabulary_size=len(VOCABULARY) - 1)
    with pytest.raises(
        InputError, match=r"folder: the model has \d+ tokens, the vocabulary has \d+"
    ):
        opened(shorter.replace(architecture=architecture))


def test_the_head_is_that_of_the_task():
    spans = HeadDescription("span", 2)
    described = describe_task("RTE").replace(head=spans)
    with pytest.raises(InputError, match="head is 'span', the task needs the head of a classifi"):
        Predictor(FakeEngine(described), VOCABULARY)
    described = describe_task("SQuAD2.0").replace(head=HeadDescription("linear", 2))
    with pytest.raises(InputError, match="head is 'linear', the task needs head 'span'"):
        Predictor(FakeEngine(described), VOCABULARY)


@pytest.mark.parametrize("has_task", [True, False])
def test_a_span_model_is_opened(has_task):
    described = describe_task("SQuAD1.1") if has_task else describe(head="span", num_classes=2)
    predictor = Predictor(FakeEngine(described), VOCABULARY)
    assert predictor.purpose == "task"
    assert predictor.labels == ()
    assert predictor.embed(["a text", "another"]).shape == (2, HIDDEN)
    with pytest.raises(InputError, match="has no decoder, so it cannot fill masks"):
        predictor.fill_masks(["a <mask>"])


def test_wrong_labels_and_options_are_refused():
    described = describe_task("CB")
    for change in (
        {"head": HeadDescription("linear", 2)},
        {"head": HeadDescription("linear", 2, ("neutral", "entailment"))},
        {"head": HeadDescription("linear", 3, ("entailment", "neutral", "contradiction"))},
        {"task": TaskDescription("RTE")},
    ):
        with pytest.raises(InputError, match="folder: has . outputs with the labels .* needs"):
            opened(described.replace(**change))
    for changes, message in (
        ({"task": TaskDescription("CB", {"race": 1})}, "folder: unknown setting 'race'"),
        ({"task": TaskDescription("GLUE")}, "task 'GLUE': is not known"),
        ({"input_length": 4}, "folder: max_len is 4, allowed are 5 to 64"),
        ({"input_length": 65}, "folder: max_len is 65, allowed are 5 to 64"),
    ):
        with pytest.raises(InputError, match=message):
            opened(described.replace(**changes))
    three = describe(head="linear", num_classes=3, labels=("a", "b", "a"))
    with pytest.raises(InputError, match="folder: has 3 outputs and 2 different labels"):
        opened(three)


def test_outputs_without_names_are_numbered():
    described = describe(head="linear", num_classes=2)
    predictor = opened(described)
    assert predictor.labels == ("LABEL_0", "LABEL_1")
    assert predictor("a").label in predictor.labels


def test_options_of_the_task_are_those_of_the_model():
    marker = task_predictor("WSC", TaskOptions(span_marker="#"))
    masks = task_predictor("WSC")
    question = {
        "text": "Ann knew that she won.",
        "span1_text": "Ann", "span1_index": 0, "span2_text": "she", "span2_index": 3,
    }  # fmt: skip
    assert marker(question).probabilities != masks(question).probabilities


@pytest.mark.parametrize(
    ("recorded", "types", "task", "ids", "expected"),
    [
        # [CLS] 2, [SEP] 3, a 5, b 6
        (None, 2, None, [2, 5, 3, 6, 3], [0, 0, 0, 1, 1]),
        (None, 0, None, [2, 5, 3, 3, 6, 3], [0] * 6),
        (None, 2, "RTE", [2, 5, 3, 3, 6, 3], [0] * 6),  # trained by version 0.2.0
        (BERT_PAIRS, 2, "RTE", [2, 5, 3, 6, 3], [0, 0, 0, 1, 1]),
        (PairForm(1, typed=False), 2, None, [2, 5, 3, 6, 3], [0] * 5),
        (PairForm(1, typed=False), 0, None, [2, 5, 3, 6, 3], [0] * 5),
    ],
)
def test_pairs_have_the_form_of_the_model(recorded, types, task, ids, expected):
    pieces = wordpiece_vocabulary(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"], True, "test"
    )
    labels = ("not_entailment", "entailment")
    described = describe(pieces, head="release", num_classes=2, labels=labels)
    described = described.replace(
        architecture=described.architecture.replace(token_types=types),
        pairs=recorded,
        task=task and TaskDescription(task, TaskOptions().as_dict()),
    )
    engine = FakeEngine(described)
    seen = []

    def answer(input_ids, lengths, token_types=None):
        seen.append(input_ids[0, : lengths[0]].tolist())
        return FakeEngine.answer(engine, input_ids, lengths, token_types)

    engine.answer = answer
    predictor = Predictor(engine, pieces)
    assert predictor([("a", "b")])
    assert seen == [ids]
    assert engine.types[0, : len(ids)].tolist() == expected
    if task is None:
        predictor(["a"])
        assert (seen[-1], engine.types.any()) == ([2, 5, 3], False)


class _Broken(FakeEngine):
    def encode(self, input_ids, lengths, token_types=None):
        states = super().encode(input_ids, lengths, token_types)
        states[-1] = np.nan
        return states


def test_numbers_that_are_none_are_no_answers():
    for described, ask in (
        (describe_task("SST-2"), lambda p: p(["a", "b"])),
        (describe(head="linear", num_classes=1), lambda p: p(["a", "b"])),
        (describe(has_decoder=True), lambda p: p(["<mask>"])),
        (describe(), lambda p: p.embed(["a"])),
    ):
        with pytest.raises(WorkError, match="finite"):
            ask(Predictor(_Broken(described), VOCABULARY))


class _Failing(FakeEngine):
    def encode(self, input_ids, lengths, token_types=None):
        raise RuntimeError("no room")


def test_a_library_that_fails_is_failed_work():
    with pytest.raises(WorkError, match="engine fake failed: no room"):
        Predictor(_Failing(describe()), VOCABULARY).embed(["a"])


def test_batches_hold_texts_of_like_length_and_little_padding():
    engine = FakeEngine(describe(head="linear", num_classes=2))
    predictor = Predictor(engine, VOCABULARY, batch_tokens=128)
    texts = ["a " * (1 + n % 60) for n in range(200)]
    predictor(texts)
    tokens = sum(len(VOCABULARY.encode(text)) + 2 for text in texts)
    computed = sum(rows * length for rows, length in engine.batches)
    assert computed < 1.25 * tokens
    assert len(engine.batches) < 150
    assert sum(rows for rows, _ in engine.batches) == 200


def test_what_a_predictor_shows_of_itself():
    predictor = task_predictor("MRPC")
    assert repr(predictor) == "<Predictor task of MRPC, fake fp32>"
    assert (predictor.engine, predictor.precision, predictor.purpose) == ("fake", "fp32", "task")
    assert predictor.record is get_task("MRPC")
    assert repr(masked_predictor()) == "<Predictor masked, fake fp32>"


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(InputError, match="nowhere: no such folder"):
        Predictor.from_pretrained("nowhere")
