"""Prediction over a file or a pipe, a window of lines at a time."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
from typing import BinaryIO, Iterator, List, NamedTuple, Optional, Tuple

from bort.engines.protocol import AUTO
from bort.errors import InputError
from bort.inference.config import STANDARD, PredictConfig
from bort.inference.jobs import Job
from bort.inference.lines import TEXT_FORMAT, line_of, numbered_questions
from bort.inference.predictor import Predictor
from bort.inference.questions import Asked
from bort.process.progress import Progress
from bort.process.standard_streams import (
    discard_output,
    standard_input,
    standard_output,
)
from bort.storage.files import atomic_write
from bort.storage.outputs import check_output_file
from bort.text.asking import in_windows

log = logging.getLogger(__name__)

STANDARD_INPUT = "standard input"
_BLOCK = 1 << 20
_TABLES = (".csv", ".tsv", ".jsonl")


class Summary(NamedTuple):
    """Summary of a prediction.

    Attributes:
        lines: number of answered lines.
        truncated: number of inputs that were too long and were shortened.
        engine: name of the engine.
        precision: precision of the engine.
    """

    lines: int
    truncated: int
    engine: str
    precision: str


def predict_file(config: PredictConfig) -> Summary:
    """Answer every line of a file or of standard input.

    Lines are read in windows, so memory does not grow with the file. If a line is invalid, the
    lines before it are still answered. An output file appears only when all lines are answered.

    Raises:
        InputError: the model or a line is invalid; the message names the file and the line. Or the
            output is the input.
        WorkError: the output cannot be written, or an answer is not finite.
    """
    if config.output == STANDARD:
        standard_output()  # refused before the work if it is closed
    else:
        check_output_file(config.output)
    if config.input_format == TEXT_FORMAT and config.input.lower().endswith(_TABLES):
        log.warning(
            "%s: each line as a whole is taken for a text; --input_format reads columns",
            config.input,
        )
    with _opened(config.input) as (stream, name, total):
        _check_other_file(stream, config.output)
        predictor = Predictor.from_pretrained(
            config.model,
            engine=config.engine,
            precision=config.precision,
            threads=config.threads,
            vocabulary=config.vocab,
            max_length=config.max_len,
            batch_tokens=config.batch_tokens,
        )
        progress = _WindowProgress(total)
        job = predictor.job(
            None if config.task == AUTO else config.task,
            top_k=config.top_k,
            n_best=config.n_best,
            pooling=config.pooling,
            normalise=config.normalise,
            prompt=config.prompt,
            on_inputs=progress.on_inputs,
        )
        lines = 0
        try:
            with _written(config.output) as output:
                on_terminal = output.isatty()
                for window in _windows(job, stream, name, config):
                    progress.begin(window)
                    for answer in job.answers(window):
                        output.write(line_of(answer, config.output_format, on_terminal=on_terminal))
                    output.flush()
                    progress.end()
                    lines += len(window)
        finally:
            progress.close()
    return Summary(lines, predictor.truncated, predictor.engine, predictor.precision)


class _WindowProgress:
    """A progress bar over lines that advances with every batch of a window.

    Args:
        total: number of lines in all; None if unknown.
    """

    def __init__(self, total: Optional[int]) -> None:
        self._progress = Progress(total, "answers", unit="line")
        self._lines = self._inputs = self._done = self._shown = 0

    def begin(self, window: List[Asked]) -> None:
        """Start a window."""
        self._lines = len(window)
        self._inputs = sum(len(asked.inputs) for asked in window)
        self._done = self._shown = 0

    def on_inputs(self, count: int) -> None:
        """Advance the bar by the window's lines times the share of its inputs in this batch."""
        self._done += count
        # Windows of passages are not known before, so there may be more of them.
        lines = min(self._lines, self._lines * self._done // max(1, self._inputs))
        self._progress.advance(lines - self._shown)
        self._shown = lines

    def end(self) -> None:
        """Finish the window."""
        self._progress.advance(self._lines - self._shown)

    def close(self) -> None:
        """Close the bar."""
        self._progress.close()


def _windows(job: Job, stream: BinaryIO, name: str, config: PredictConfig) -> Iterator[List[Asked]]:
    """Yield windows of parsed questions; an error is raised after the questions before it."""
    failures: List[InputError] = []

    def until_a_bad_one() -> Iterator[Asked]:
        try:
            found = numbered_questions(stream, name, config.input_format, job.questions.names)
            for number, question in found:
                yield job.questions.read(question, name, number)
        except InputError as error:
            failures.append(error)

    yield from in_windows(until_a_bad_one(), config.window)
    for failure in failures:
        raise failure


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Tuple[BinaryIO, str, Optional[int]]]:
    """Yield a stream of bytes, its name, and its number of lines, None if unknown."""
    if path == STANDARD:
        yield standard_input(), STANDARD_INPUT, None
        return
    try:
        stream = open(path, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    with stream:
        total = None
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            total = _count_lines(stream)
            stream.seek(0)
        yield stream, path, total


def _check_other_file(stream: BinaryIO, output: str) -> None:
    """Raise `InputError` if an output is the file that is read, whatever path names it."""
    if output == STANDARD:
        return
    try:
        given, there = os.fstat(stream.fileno()), os.stat(output)
    except OSError:  # nothing is there yet, or the stream is no file
        return
    if stat.S_ISREG(given.st_mode) and os.path.samestat(given, there):
        raise InputError(f"output is {output!r}, which is the input")


def _count_lines(stream: BinaryIO) -> int:
    """Return the number of lines, which carriage returns end if there is no line feed."""
    count, returns, last = 0, 0, b"\n"
    for block in iter(lambda: stream.read(_BLOCK), b""):
        count += block.count(b"\n")
        returns += block.count(b"\r")
        last = block[-1:]
    return (count or returns) + (last not in b"\r\n")


@contextlib.contextmanager
def _written(path: str) -> Iterator[BinaryIO]:
    """Yield the stream for answers; exit quietly if the reader of stdout closes the pipe."""
    if path != STANDARD:
        with atomic_write(path) as stream:
            yield stream
        return
    try:
        output = standard_output()
        yield output
        output.flush()
    except BrokenPipeError:
        discard_output(sys.stdout)
        raise SystemExit(0) from None
