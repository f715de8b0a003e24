"""Predictors in forked and spawned processes: the same answers, no hang, a clear refusal."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable, List

import pytest

from bort import Predictor
from bort.engines.choosing import open_network
from tests.engines.test_engines import NAMES
from tests.formats.parity import BORT, make_batch, make_network, write_network
from tests.patience import HANG_SECONDS
from tests.text.tiny_vocabulary import tiny_vocabulary

pytestmark = [pytest.mark.integration]

VOCABULARY = tiny_vocabulary()
TEXTS = [f"it rained {number} times " * (1 + number % 5) for number in range(32)]
METHODS = [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("processes") / "model"
    # Large enough that every engine computes with all its threads.
    architecture = BORT.replace(vocabulary_size=len(VOCABULARY), hidden=128, intermediate=512)
    network = make_network(
        architecture, vocabulary_fingerprint=VOCABULARY.fingerprint, head="linear", num_classes=2
    )
    write_network(made, network)
    VOCABULARY.save(made / "vocabulary")
    return made


def send_answers(predictor: Any, connection: Connection) -> None:
    try:
        connection.send([str(answer) for answer in predictor(TEXTS)])
    except Exception as error:
        connection.send(f"{type(error).__name__}: {error}")


def ask_in_process(method: str, work: Callable[..., None], *arguments: Any) -> Any:
    """Return what `work` sends from another process; a hang or a bad end is an error."""
    context: Any = multiprocessing.get_context(method)
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(*arguments, there))
    process.start()
    try:
        assert here.poll(HANG_SECONDS), "the process hangs"
        found = here.recv()
        process.join(HANG_SECONDS)
        assert process.exitcode == 0
        return found
    finally:
        process.kill()


def in_a_new_process(work: Callable[..., None], *arguments: Any) -> Any:
    """Return what `work` sends from a new interpreter.

    In the process of the tests, other tests have closed models of OpenVINO, which then refuses to
    open one after a fork.
    """
    return ask_in_process("spawn", work, *arguments)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_a_used_predictor_serves_other_processes(name: str, method: str, folder: Path) -> None:
    assert in_a_new_process(use_and_share, folder, name, method) == "done"


def use_and_share(folder: Path, name: str, method: str, connection: Connection) -> None:
    predictor = Predictor.from_pretrained(folder, engine=name, threads=2)
    expected = [str(answer) for answer in predictor(TEXTS)]
    for _ in range(2):
        assert ask_in_process(method, send_answers, predictor) == expected
    assert [str(answer) for answer in predictor(TEXTS)] == expected
    connection.send("done")


_predictor: Any = None


def take_predictor(predictor: Any) -> None:
    global _predictor
    _predictor = predictor


def answer_text(text: str) -> str:
    return str(_predictor([text])[0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_a_pool_of_processes_shares_work(name: str, method: str, folder: Path) -> None:
    assert in_a_new_process(work_in_a_pool, folder, name, method) == "done"


def work_in_a_pool(folder: Path, name: str, method: str, connection: Connection) -> None:
    predictor = Predictor.from_pretrained(folder, engine=name, threads=1)
    expected = [str(predictor([text])[0]) for text in TEXTS]
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, context, take_predictor, (predictor,)) as pool:
        assert list(pool.map(answer_text, TEXTS, timeout=HANG_SECONDS)) == expected
    connection.send("done")


@pytest.mark.skipif("fork" not in METHODS, reason="the system has no forks")
@pytest.mark.parametrize("name", NAMES)
def test_a_fork_while_threads_ask(name: str, folder: Path) -> None:
    """Locks that threads of the parent hold at the moment of the fork do not block the child."""
    assert in_a_new_process(fork_while_threads_ask, folder, name) == "done"


def fork_while_threads_ask(folder: Path, name: str, connection: Connection) -> None:
    predictor = Predictor.from_pretrained(folder, engine=name, threads=1)
    expected = [str(answer) for answer in predictor(TEXTS)]
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            predictor(TEXTS[:4])

    threads: List[threading.Thread] = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            assert ask_in_process("fork", send_answers, predictor) == expected
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    connection.send("done")


def send_encoded(engine: Any, connection: Connection) -> None:
    try:
        engine.encode(*make_batch()[:2])
        connection.send("answered")
    except Exception as error:
        connection.send(f"{type(error).__name__}: {error}")


@pytest.mark.skipif("fork" not in METHODS, reason="the system has no forks")
@pytest.mark.parametrize("name", NAMES)
def test_a_model_in_memory_refuses_a_forked_process(name: str) -> None:
    engine = open_network(make_network(), name, threads=2)
    engine.encode(*make_batch()[:2])
    found = ask_in_process("fork", send_encoded, engine)
    assert found.startswith("WorkError: the network: was opened from memory before this process")


@pytest.mark.skipif("fork" not in METHODS, reason="the system has no forks")
def test_a_folder_that_changed_since_is_refused_by_a_forked_process(
    folder: Path, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / "model")
    predictor = Predictor.from_pretrained(tmp_path / "model", engine="mxnet")
    os.utime(tmp_path / "model" / "model.safetensors", (1, 1))
    found = ask_in_process("fork", send_answers, predictor)
    assert "model: has changed since the model was opened" in found
    assert found.startswith("WorkError: ")


EXITING = """
import os, signal, sys
from bort import Predictor
predictor = Predictor.from_pretrained(sys.argv[1], engine=sys.argv[2], threads=2)
predictor(["it rained"])
process = os.fork()
if process == 0:
    predictor(["it rained"])
    sys.exit(7)  # runs the destructors, unlike the end of a process of multiprocessing
assert os.waitpid(process, 0)[1] == 7 << 8
print("both ended")
"""


@pytest.mark.skipif("fork" not in METHODS, reason="the system has no forks")
@pytest.mark.parametrize("name", NAMES)
def test_a_forked_process_exits(name: str, folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", EXITING, str(folder), name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, errors = process.communicate(timeout=HANG_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert (process.returncode, printed, errors) == (0, "both ended\n", "")


CLOSED = """
import os, sys
from bort import Predictor
def opened(): return Predictor.from_pretrained(sys.argv[1], engine=sys.argv[2], threads=1)
first = opened()
second = opened()
expected = str(first("it rained"))
del first
process = os.fork()
if process == 0:
    try:
        assert second.engine == sys.argv[2] or sys.argv[2] == "auto"
        print(str(second("it rained")) == expected, flush=True)
        print(str(opened()("it rained")) == expected, flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)
    os._exit(0)
assert os.waitpid(process, 0)[1] == 0
"""


@pytest.mark.skipif("fork" not in METHODS, reason="the system has no forks")
@pytest.mark.parametrize("name", [*NAMES, "auto"])
def test_a_fork_after_another_model_was_closed(name: str, folder: Path) -> None:
    """OpenVINO would take the threads of the closed model, which the child does not have."""
    process = subprocess.run(
        [sys.executable, "-c", CLOSED, str(folder), name],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=HANG_SECONDS,
    )
    if name == "openvino":
        assert process.stdout.startswith("WorkError ")
        assert "another one was closed before the fork" in process.stdout
    else:
        assert process.stdout == "True\nTrue\n"
