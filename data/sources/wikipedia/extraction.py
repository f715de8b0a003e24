"""Extraction of the text of a wiki: a dump to a folder of text files, in bounded memory.

The main process reads the dump and writes the files. Worker processes turn wikitext into text, and
their results are used in the order of the pages, so the files do not depend on the number of
workers. A killed extraction continues behind the last page that is on disk. The output folder
appears when it is complete.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import re
import shutil
import time
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from bort.errors import InputError, WorkError
from bort.process.threads import available_cores, check_thread_count
from bort.process.workers import WorkerPool, results_in_order, start_method
from bort.settings.config import Config, setting
from bort.storage.files import move_into_place
from bort.storage.json_fields import JsonFields
from bort.storage.locks import hold_folder
from bort.storage.outputs import check_new_folder
from bort.storage.run_claim import check_same_run, claim_folder
from bort.storage.sealed_folder import SealedFile, SealedFormat
from data.sources.wikipedia.dump import Dump, Page, Position
from data.sources.wikipedia.page import Outcome, PageReader, TextSettings, parts_of
from data.sources.wikipedia.parts import STATE_FILE, TextParts, read_state

log = logging.getLogger(__name__)

WIKI_TEXT_FORMAT = SealedFormat(
    "wikipedia.json",
    "the record of a wiki's text",
    lambda record: [
        SealedFile(file.text("file"), file.text("sha256"), file.integer("bytes", 0))
        for file in JsonFields.of(record, "a wiki's text").objects("files")
    ],
    version="bort-wikipedia-1",
)
COUNTS = (
    *("pages", "documents", "words", "redirects", "disambiguations", "empty", "deleted"),
    *("other_namespaces", "other_models", "too_long"),
)
"""Names of the counts: each page is a document or is counted under one of the later names."""

_SETTINGS_FILE = "extraction.json"
_UNFINISHED = ".unfinished"
_BATCH_CHARACTERS = 1 << 20
_BATCH_PAGES = 500
_SECONDS_BETWEEN_SAVES = 5.0
_MOST_BYTES_OF_A_NAME = 60


@dataclass(frozen=True)
class ExtractionConfig(Config):
    """Settings of the extraction of text from a dump."""

    output_dir: str = setting(
        ..., "output folder for text files and wikipedia.json", speed_only=True
    )
    language: Optional[str] = setting(
        None, "code of the wiki's language, for its tables; none: as the dump says"
    )
    lines: str = setting(
        "sentences",
        "what a line is; a blank line separates documents",
        choices=("sentences", "paragraphs"),
    )
    headings: bool = setting(False, "keep the headings of sections that hold text")
    lists: str = setting("keep", "items of lists: a line each, or none", choices=("keep", "drop"))
    web_addresses: bool = setting(False, "keep web addresses that stand in the text")
    disambiguation_pages: bool = setting(False, "keep disambiguation pages")
    file_megabytes: int = setting(
        100, "size of a text file in 10^6 bytes", minimum=1, maximum=100_000
    )
    num_workers: int = setting(
        0, "worker processes; 0: one per core", minimum=0, maximum=1024, speed_only=True
    )
    resume: bool = setting(False, "continue an interrupted extraction", speed_only=True)

    def check(self) -> None:
        if not self.output_dir:
            raise InputError("output_dir is empty, allowed is the name of a folder")
        if self.language is not None and not re.fullmatch(r"[a-z][a-z-]{0,30}", self.language):
            raise InputError(
                f"language is {self.language!r}, allowed is a code such as 'en' or 'zh-yue'"
            )
        check_thread_count("num_workers", self.num_workers)


def extract_wikipedia(
    dump_path: Path,
    config: ExtractionConfig,
    *,
    stop_requested: Callable[[], bool] = lambda: False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    file_bytes: Optional[int] = None,
) -> Optional[Dict[str, Any]]:
    """Write the text of a dump's articles as a folder of text files.

    Args:
        dump_path: the dump.
        config: output folder and settings.
        stop_requested: called between batches of pages; a stopped extraction can be resumed.
        on_progress: called with the number of bytes of the dump read so far and the total.
        file_bytes: for tests: size of a file instead of `config.file_megabytes`.

    Returns:
        The record, as written to `wikipedia.json`; None if it was stopped.

    Raises:
        InputError: the dump is damaged, the output folder is in use, or it holds an extraction with
            other settings.
        WorkError: a file cannot be written, or a worker process died.
    """
    target = Path(config.output_dir).expanduser()
    check_new_folder(target)
    dump = Dump(dump_path)
    work = target.with_name(target.name + _UNFINISHED)
    source = {"file": dump_path.name, "bytes": dump_path.stat().st_size, "wiki": dump.site.name}
    settings = {**config.results_settings(), "dump": source}
    if file_bytes is not None:
        settings["file_bytes"] = file_bytes
    with hold_folder(work):
        if WIKI_TEXT_FORMAT.is_in(work):
            _check_complete(work, settings, config.resume)
        else:
            claim_folder(
                work,
                _SETTINGS_FILE,
                settings,
                "extraction",
                config.resume,
                results=(STATE_FILE,),
                remains=("*.txt",),
            )
            limit = file_bytes or config.file_megabytes * 1_000_000
            run = _Extraction(dump, config, work, limit)
            try:
                is_complete = run.run(stop_requested, on_progress)
            except InputError:
                shutil.rmtree(work, ignore_errors=True)
                raise
            if not is_complete:
                return None
            run.seal(settings)
        record = WIKI_TEXT_FORMAT.open(work).record
    for name in (STATE_FILE, _SETTINGS_FILE):
        (work / name).unlink(missing_ok=True)
    try:
        move_into_place(work, target)
    except OSError as error:
        raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error
    return record


def _check_complete(work: Path, settings: Mapping[str, Any], resume: bool) -> None:
    """Hold that a complete extraction that was killed before its publication is the same one."""
    if not resume:
        raise InputError(
            f"{work}: already holds an extraction (--resume continues it, or name another folder)"
        )
    sealed = WIKI_TEXT_FORMAT.open(work)
    sealed.verify()
    then = JsonFields.of(sealed.record, str(sealed.source)).fields("settings").values
    check_same_run(sealed.source, "extraction", then, settings, {})


class _Batch(NamedTuple):
    """Pages that a worker reads together.

    Attributes:
        pages: titles and wikitexts of articles.
        counts: counts of all pages, the ones without text included.
        after: place in the dump behind them.
        read_bytes: bytes of the dump read so far.
    """

    pages: List[Tuple[str, str]]
    counts: Mapping[str, int]
    after: Position
    read_bytes: int


class _Texts(NamedTuple):
    """Documents of a batch as bytes, and their counts."""

    documents: List[bytes]
    counts: Mapping[str, int]


class _Extraction:
    def __init__(self, dump: Dump, config: ExtractionConfig, folder: Path, limit: int) -> None:
        self._dump = dump
        self._config = config
        self._folder = folder
        self._language = config.language or dump.site.language
        self._workers = config.num_workers or available_cores()
        settings = TextSettings(
            sentences=config.lines == "sentences",
            headings=config.headings,
            lists=config.lists == "keep",
            addresses=config.web_addresses,
            disambiguations=config.disambiguation_pages,
        )
        self._reader = (self._language, dump.site.namespaces, settings)
        state = read_state(folder)
        self._begin = state.position
        self._counts = Counter(dict.fromkeys(COUNTS, 0))
        self._counts.update(state.counts)
        prefix = re.sub(r"[^A-Za-z0-9_-]", "", dump.site.name)[:_MOST_BYTES_OF_A_NAME] or "wiki"
        self._parts = TextParts(folder, prefix, limit, state)

    def run(
        self, stop_requested: Callable[[], bool], on_progress: Callable[[int, int], None]
    ) -> bool:
        """Write the text of all pages that are not on disk; return False if it was stopped."""
        total = self._dump.path.stat().st_size
        saved = time.monotonic()
        on_progress(self._begin.stream, total)
        if self._counts["pages"]:
            log.info("continues behind page %d", self._counts["pages"])
        with contextlib.closing(self._parts):
            batches = _batches(self._dump, self._begin)
            with _texts(batches, self._workers, self._reader) as results:
                for batch, texts in results:
                    files = len(self._parts.files)
                    for document in texts.documents:
                        self._parts.add(document)
                    self._counts.update(batch.counts)
                    self._counts.update(texts.counts)
                    now = time.monotonic()
                    is_stopped = stop_requested()
                    is_due = now - saved >= _SECONDS_BETWEEN_SAVES
                    if is_stopped or is_due or len(self._parts.files) > files:
                        self._parts.save(batch.after, self._counts)
                        saved = now
                    on_progress(batch.read_bytes, total)
                    if is_stopped:
                        return False
            self._parts.finish()
        return True

    def seal(self, settings: Mapping[str, Any]) -> None:
        """Write the record of the complete folder."""
        if not self._counts["documents"]:
            log.warning("%s: holds no article with text", self._dump.path)
        counts = {name: self._counts[name] for name in COUNTS}
        writer = WIKI_TEXT_FORMAT.writer(self._folder)
        writer.seal(
            {
                "settings": settings,
                "language": self._language,
                "counts": {**counts, "bytes": self._parts.total_bytes},
                "files": self._parts.files,
            }
        )


def _batches(dump: Dump, begin: Position) -> Iterator[_Batch]:
    pages: List[Tuple[str, str]] = []
    counts: Counter[str] = Counter()
    size = 0
    page = None
    for page in dump.pages(begin):
        counts["pages"] += 1
        without_text = _reason(page)
        if without_text:
            counts[without_text] += 1
        else:
            pages.append((page.title, page.text))
            size += len(page.text)
        if size >= _BATCH_CHARACTERS or counts["pages"] >= _BATCH_PAGES:
            yield _Batch(pages, counts, page.after, page.read_bytes)
            pages, counts, size = [], Counter(), 0
    if page is not None and counts:
        yield _Batch(pages, counts, page.after, page.read_bytes)


def _reason(page: Page) -> str:
    """Return the name of the count of a page without text, "" for one that may have text."""
    reasons = {
        "other_namespaces": page.namespace != 0,
        Outcome.REDIRECT.value: page.is_redirect,
        "deleted": page.is_deleted,
        "other_models": not page.is_wikitext,
        "too_long": page.is_too_long,
    }
    return next((name for name, holds in reasons.items() if holds), "")


@contextlib.contextmanager
def _texts(
    batches: Iterator[_Batch], workers: int, reader: Tuple[Any, ...]
) -> Iterator[Iterator[Tuple[_Batch, _Texts]]]:
    """Read batches in order; a single worker runs in this process."""
    pool: Optional[WorkerPool] = None
    if workers > 1:
        context = multiprocessing.get_context(start_method())
        try:
            pool = WorkerPool(workers, context, _start_worker, reader)
        except WorkError as error:
            log.warning("%s; going on with one worker", error)
    if pool is None:
        alone = PageReader(*reader)
        yield ((_without_pages(batch), _read_batch(alone, batch)) for batch in batches)
        return
    try:
        with pool:
            yield results_in_order(pool, _read_in_worker, batches, _without_pages, 2 * workers + 1)
    except BrokenProcessPool as error:
        raise WorkError("a worker process died (out of memory? try fewer workers)") from error


def _without_pages(batch: _Batch) -> _Batch:
    return batch._replace(pages=[])


_worker_reader: Optional[PageReader] = None


def _start_worker(*reader: Any) -> None:
    global _worker_reader
    _worker_reader = PageReader(*reader)


def _read_in_worker(batch: _Batch) -> _Texts:
    assert _worker_reader is not None
    return _read_batch(_worker_reader, batch)


def _read_batch(reader: PageReader, batch: _Batch) -> _Texts:
    documents: List[bytes] = []
    counts: Counter[str] = Counter()
    for title, wikitext in batch.pages:
        outcome = Outcome.EMPTY
        texts: List[bytes] = []
        for part in parts_of(wikitext):
            found, lines = reader.read(title, part)
            if found is not Outcome.EMPTY:
                outcome = found
            counts["words"] += sum(len(line.split()) for line in lines)
            texts.append("".join(line + "\n" for line in lines).encode("utf-8", "replace"))
        counts[outcome.value] += 1
        if outcome is Outcome.DOCUMENT:
            documents.append(b"".join(texts))
    return _Texts(documents, counts)
