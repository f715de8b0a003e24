"""Sixteen threads share one predictor on every engine, and each gets its own exact answers."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from bort import Predictor
from bort.engines.choosing import open_network
from bort.engines.openvino_session import OpenVinoSession
from bort.formats.onnx_graph import build_graph
from tests.engines.test_engines import NAMES
from tests.formats.parity import BORT, make_network, write_network
from tests.text.tiny_vocabulary import tiny_vocabulary

THREADS, ROUNDS = 16, 12
VOCABULARY = tiny_vocabulary()
PARTS: Dict[str, Dict[str, Any]] = {
    "classifier": {"head": "linear", "num_classes": 2},
    "masked": {"decoder": True},
}
TEXTS = [("it rained and " * (1 + number % 7) + chr(97 + number)) for number in range(THREADS)]


def in_threads(work: Callable[[int], None]) -> None:
    """Call `work` with 0 to 15, each in a thread of its own, all at once."""
    begin = threading.Barrier(THREADS)
    failures: List[BaseException] = []

    def run(number: int) -> None:
        try:
            begin.wait()
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("threads")
    architecture = BORT.replace(vocabulary_size=len(VOCABULARY))
    for part, fields in PARTS.items():
        network = make_network(
            architecture, vocabulary_fingerprint=VOCABULARY.fingerprint, **fields
        )
        write_network(root / part, network)
        VOCABULARY.save(root / part / "vocabulary")
    return root


@pytest.mark.parametrize("name", NAMES)
def test_engines_answer_every_thread(name: str) -> None:
    network = make_network(head="linear", num_classes=3)
    engine = open_network(network, name, threads=2)
    generator = np.random.default_rng(0)
    inputs = []
    for number in range(THREADS):
        length = 3 + 2 * number
        ids = generator.integers(0, network.architecture.vocabulary_size, (1 + number % 3, length))
        inputs.append((ids, np.full(len(ids), length)))
    expected = [(engine.answer(*one), engine.encode(*one)) for one in inputs]

    def ask(number: int) -> None:
        for _ in range(ROUNDS):
            for index in (number, (number + 5) % THREADS):
                np.testing.assert_array_equal(engine.answer(*inputs[index]), expected[index][0])
                np.testing.assert_array_equal(engine.encode(*inputs[index]), expected[index][1])

    in_threads(ask)


@pytest.mark.parametrize("name", NAMES)
def test_a_classifier_answers_every_thread_and_counts(name: str, folders: Path) -> None:
    predictor = Predictor.from_pretrained(folders / "classifier", engine=name, threads=1)
    texts = [text * 4 if number % 4 == 0 else text for number, text in enumerate(TEXTS)]
    alone = [predictor([text])[0] for text in texts]
    vectors = [predictor.embed([text]) for text in texts]
    before = predictor.truncated
    assert before > 0

    def ask(number: int) -> None:
        for _ in range(ROUNDS):
            assert predictor([texts[number]])[0] == alone[number]
            np.testing.assert_array_equal(predictor.embed([texts[number]]), vectors[number])

    in_threads(ask)
    assert predictor.truncated == before * (1 + ROUNDS)


@pytest.mark.parametrize("name", NAMES)
def test_masks_and_embeddings_are_asked_for_at_once(name: str, folders: Path) -> None:
    predictor = Predictor.from_pretrained(folders / "masked", engine=name, threads=1)
    texts = [f"{text} <mask>" for text in TEXTS]
    filled = [predictor.fill_masks([text]) for text in texts]
    vectors = [predictor.embed([text]) for text in texts]
    streamed = list(predictor.stream(texts))

    def ask(number: int) -> None:
        for _ in range(ROUNDS):
            if number % 3 == 0:
                assert predictor.fill_masks([texts[number]]) == filled[number]
            elif number % 3 == 1:
                np.testing.assert_array_equal(predictor.embed([texts[number]]), vectors[number])
            else:
                assert list(predictor.stream(texts)) == streamed

    in_threads(ask)


@pytest.mark.parity("onnx", "openvino")
def test_openvino_gives_a_request_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from bort.engines import openvino_session

    monkeypatch.setattr(openvino_session, "_MOST_REQUESTS", 1)
    network = make_network()
    session = OpenVinoSession(build_graph(network), "fp32", 1, "the network")
    ids = np.ones((1, 5), np.int64)
    good = {"input_ids": ids, "attention_mask": ids}
    expected = session.run(good, "last_hidden_state")
    for _ in range(3):
        with pytest.raises(KeyError):
            session.run(good, "nothing")
        with pytest.raises(Exception, match="no_such_input"):
            session.run({"no_such_input": ids}, "last_hidden_state")
    np.testing.assert_array_equal(session.run(good, "last_hidden_state"), expected)
