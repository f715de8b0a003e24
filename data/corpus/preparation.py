"""Preparation of a corpus: text files to a folder of shards, in bounded memory, on several cores.

The main process reads text, drops duplicate documents and appends sequences to shards. Worker
processes decode, encode and pack the blocks of text, and their results are used in the order of
reading. The shards therefore depend on text, vocabulary and settings, not on the number of
workers. A thread of the main process waits for the disk.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
from concurrent.futures import Executor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from bort.downloads.gluonnlp import BORT_DATASET
from bort.errors import InputError, WorkError
from bort.process.threads import available_cores, check_thread_count
from bort.process.workers import WorkerPool, results_in_order, start_method
from bort.settings.config import Config, setting
from bort.storage.files import new_folder
from bort.storage.outputs import check_output_folder, check_target
from bort.storage.sealed_folder import SealedWriter
from bort.text.vocabularies import ArrayVocabulary, load_vocabulary
from data.corpus.duplicates import DIGEST_BYTES, SeenDigests
from data.corpus.packing import PackedBlock, Packer
from data.corpus.shard_files import ShardWriter
from data.corpus.shards import (
    CORPUS_SPLITS,
    CORPUS_VOCABULARY_FOLDER,
    SHARDS_FORMAT,
)
from data.corpus.summary import warn_of_unknown_tokens
from data.corpus.text_files import TEXT_FORMATS, TextBlock, find_files, read_blocks

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CorpusConfig(Config):
    """Settings of the preparation of a corpus."""

    input_file: Tuple[str, ...] = setting(
        ...,
        "text files, plain or compressed with gzip, bz2 or xz; globs and comma-separated lists "
        "are allowed",
    )
    output_dir: str = setting(..., "output folder for shards and manifest", speed_only=True)
    dataset_name: str = setting(BORT_DATASET, "name of a published vocabulary")
    vocab: Optional[str] = setting(None, "vocabulary folder or file, instead of --dataset_name")
    max_seq_length: int = setting(
        512, "maximum tokens in a sequence, <s> and </s> included", minimum=8, maximum=1 << 15
    )
    dupe_factor: int = setting(
        1,
        "passes over the text; each packs it into sequences with different boundaries",
        minimum=1,
        maximum=1000,
    )
    num_outputs: int = setting(
        1,
        "shards per split; each document is in one of them, and their numbers of tokens differ by "
        "at most the longest document",
        minimum=1,
        maximum=256,
    )
    num_workers: int = setting(
        0, "worker processes; 0: one per core", minimum=0, maximum=1024, speed_only=True
    )
    random_seed: int = setting(12345, "seed of the sequence boundaries", minimum=0)
    short_seq_prob: float = setting(
        0.1, "probability that a sequence gets a shorter target length", minimum=0.0, maximum=1.0
    )
    split: Tuple[float, ...] = setting(
        (1.0,),
        "shares of the documents for train, validation and test; the content of a document decides "
        "its split, independently of seed and order",
        minimum=0.0,
        maximum=1.0,
    )
    input_format: str = setting(
        "auto",
        "sentences: one sentence per line, blank line between documents; wikitext: one paragraph "
        "per line, headings '= … ='; auto: by each file's first line",
        choices=TEXT_FORMATS,
    )
    overwrite: bool = setting(False, "replace an existing corpus", speed_only=True)

    def check(self) -> None:
        if not self.input_file:
            raise InputError("input_file is empty, allowed is at least one file")
        if not self.output_dir:
            raise InputError("output_dir is empty, allowed is the name of a folder")
        check_thread_count("num_workers", self.num_workers)
        if not 1 <= len(self.split) <= len(CORPUS_SPLITS) or abs(sum(self.split) - 1.0) > 1e-6:
            raise InputError(
                f"split is {list(self.split)}, allowed are one to three shares that add up to 1"
            )


def create_corpus(
    config: CorpusConfig,
    vocabulary: Optional[ArrayVocabulary] = None,
    on_progress: Optional[Callable[[int, int], None]] = None,
) -> Dict[str, Any]:
    """Prepare a corpus and write it as a folder of shards.

    The output folder appears when it is complete; after an error nothing is left.

    Args:
        config: input files, output folder and settings.
        vocabulary: a vocabulary to use instead of the one that `config` names.
        on_progress: called with the number of input bytes read so far and the total.

    Returns:
        The manifest, as written to `manifest.json`.

    Raises:
        InputError: an input file is invalid, or the output folder is in use.
        WorkError: a file cannot be written, or a worker process died.
    """
    files = find_files(config.input_file)
    target = Path(config.output_dir).expanduser()
    _check_target(target, config.overwrite, files)
    if vocabulary is None:
        vocabulary = load_vocabulary(config.vocab or config.dataset_name)
    packer = Packer(
        vocabulary,
        config.max_seq_length,
        config.dupe_factor,
        config.short_seq_prob,
        config.random_seed,
    )
    with new_folder(target, replace=config.overwrite) as folder:
        sealed = SHARDS_FORMAT.writer(folder)
        with contextlib.ExitStack() as stack:
            thread = stack.enter_context(ThreadPoolExecutor(1))
            writer = _CorpusWriter(sealed, config, packer.dtype, thread)
            stack.callback(writer.abandon)
            blocks = _read_all(files, config.input_format, writer, on_progress)
            workers = config.num_workers or available_cores()
            packed_blocks = stack.enter_context(_packed(blocks, packer, workers))
            # The first block is asked for before the thread starts, since that forks the workers.
            first = list(itertools.islice(packed_blocks, 1))
            saving = thread.submit(vocabulary.save, folder / CORPUS_VOCABULARY_FOLDER)
            for block, packed in itertools.chain(first, packed_blocks):
                writer.add(block, packed)
                if saving.done():
                    saving.result()  # raises its error before the other blocks are packed
            saving.result()
            manifest = writer.finish(files, vocabulary)
        sealed.seal(manifest)
        if config.overwrite and SHARDS_FORMAT.is_in(target):
            log.info("%s: the corpus that is there is replaced (--overwrite)", target)
    warn_of_unknown_tokens(manifest["counts"])
    return manifest


class _CorpusWriter:
    """A writer that drops duplicates, assigns documents to splits and shards, and counts them."""

    def __init__(
        self, folder: SealedWriter, config: CorpusConfig, dtype: np.dtype, thread: Executor
    ) -> None:
        self._config = config
        self._width = dtype.itemsize
        names = CORPUS_SPLITS[: len(config.split)]
        self._shards = {
            name: [
                ShardWriter(folder, name, number, dtype, thread)
                for number in range(config.num_outputs)
            ]
            for name, share in zip(names, config.split)
            if share > 0
        }
        self._names = [name for name, share in zip(names, config.split) if share > 0]
        shares = np.cumsum([share for share in config.split if share > 0])
        self._limits = shares[:-1]
        self._seen = SeenDigests()
        self.counts = {
            name: dict.fromkeys(("documents", "sentences", "tokens", "sequences"), 0)
            for name in self._names
        }
        self.totals = dict.fromkeys(
            (
                "words",
                "unknown_tokens",
                "duplicate_documents",
                "split_sentences",
                "replaced_bytes",
                "headings",
                "cut_documents",
                "pieces",
                "kept_pieces",
            ),
            0,
        )
        self.replaced: Dict[int, int] = {}
        self._filled = {name: [0] * len(shards) for name, shards in self._shards.items()}

    def add(self, block: TextBlock, packed: PackedBlock) -> None:
        """Append the documents of a block that are not duplicates."""
        new = self._seen.add(packed.digests)
        self.totals["duplicate_documents"] += int((~new).sum())
        self.totals["words"] += int(packed.words[new].sum())
        self.totals["unknown_tokens"] += int(packed.unknown[new].sum())
        self.totals["split_sentences"] += int(packed.split_sentences[new].sum())
        self.totals["pieces"] += int(packed.pieces[new].sum())
        self.totals["replaced_bytes"] += packed.replaced_bytes
        self.totals["headings"] += packed.headings
        self.totals["cut_documents"] += block.cut
        if packed.replaced_bytes:
            before = self.replaced.get(block.file_number, 0)
            self.replaced[block.file_number] = before + packed.replaced_bytes
        rows = np.concatenate([[0], np.cumsum(packed.sequences)])
        ends = np.concatenate([[0], np.cumsum(packed.lengths)])[rows]
        tokens = memoryview(packed.tokens)
        for name, number, first, last in self._runs(packed.digests, new, np.diff(ends)):
            begin, end = int(ends[first]), int(ends[last])
            sequences = slice(int(rows[first]), int(rows[last]))
            self._shards[name][number].append(
                tokens[begin * self._width : end * self._width], packed.lengths[sequences]
            )
            counts = self.counts[name]
            counts["documents"] += last - first
            counts["sentences"] += int(packed.sentences[first:last].sum())
            counts["sequences"] += sequences.stop - sequences.start
            counts["tokens"] += end - begin
            self.totals["kept_pieces"] += end - begin - 2 * (sequences.stop - sequences.start)

    def _runs(
        self, digests: bytes, new: np.ndarray, sizes: np.ndarray
    ) -> Iterator[Tuple[str, int, int, int]]:
        """Yield the split, the shard, the first document and the end of every run of documents.

        The documents of a run follow each other, are not duplicates, and go into the same shard.
        One append for each run takes a tenth of the time of one for each document.

        Args:
            digests: digests of the D documents of a block.
            new: boolean (D,), False for duplicates.
            sizes: int64 (D,), tokens of each document.
        """
        splits = self._split_of(digests)
        place, begin, end = (-1, -1), 0, 0
        for document in np.flatnonzero(new).tolist():
            split = splits[document]
            # The emptiest shard: sizes then differ by at most the longest document.
            filled = self._filled[self._names[split]]
            number = filled.index(min(filled)) if len(filled) > 1 else 0
            filled[number] += int(sizes[document])
            if (split, number) != place or document != end:
                if end > begin:
                    yield self._names[place[0]], place[1], begin, end
                place, begin = (split, number), document
            end = document + 1
        if end > begin:
            yield self._names[place[0]], place[1], begin, end

    def finish(self, files: Sequence[Path], vocabulary: ArrayVocabulary) -> Dict[str, Any]:
        """Close the shards and return the manifest."""
        if not any(counts["sequences"] for counts in self.counts.values()):
            raise InputError(f"{', '.join(map(str, files))}: holds no text")
        for name, counts in self.counts.items():
            if not counts["sequences"]:
                documents = sum(each["documents"] for each in self.counts.values())
                raise InputError(
                    f"split is {list(self._config.split)}, none of the {documents} documents is in "
                    f"{name}: use a larger share or more documents"
                )
        for number, count in sorted(self.replaced.items()):
            log.warning("%s: replaced %d bytes that are not valid UTF-8", files[number], count)
        settings = self._config.results_settings()
        totals = {
            key: sum(counts[key] for counts in self.counts.values())
            for key in ("documents", "sentences", "tokens", "sequences")
        }
        return {
            "format": SHARDS_FORMAT.version,
            "settings": settings,
            "vocabulary": {"fingerprint": vocabulary.fingerprint, "size": len(vocabulary)},
            "inputs": [
                {
                    "file": str(path),
                    "bytes": path.stat().st_size,
                    "replaced_bytes": self.replaced.get(number, 0),
                }
                for number, path in enumerate(files)
            ],
            "counts": {**totals, **self.totals},
            "splits": {
                name: {**self.counts[name], "shards": [shard.close() for shard in shards]}
                for name, shards in self._shards.items()
            },
        }

    def abandon(self) -> None:
        """Close all shards after an error."""
        for shards in self._shards.values():
            for shard in shards:
                shard.abandon()

    def _split_of(self, digests: bytes) -> List[int]:
        """Return the number of each document's split, from its digest as a fraction of 2**64."""
        words = np.frombuffer(digests, dtype="<u8")[:: DIGEST_BYTES // 8]
        split: List[int] = np.searchsorted(self._limits, words / 2.0**64, side="right").tolist()
        return split


def _read_all(
    files: Sequence[Path],
    text_format: str,
    writer: _CorpusWriter,
    on_progress: Optional[Callable[[int, int], None]],
) -> Iterator[TextBlock]:
    sizes = [path.stat().st_size for path in files]
    if on_progress is not None:
        on_progress(0, sum(sizes))
    for number, path in enumerate(files):
        for block in read_blocks(path, number, text_format):
            yield block
            if on_progress is not None:
                on_progress(sum(sizes[:number]) + block.position, sum(sizes))


@contextlib.contextmanager
def _packed(
    blocks: Iterator[TextBlock], packer: Packer, workers: int
) -> Iterator[Iterator[Tuple[TextBlock, PackedBlock]]]:
    """Pack blocks in order; a single worker runs in this process."""
    pool: Optional[WorkerPool] = None
    if workers > 1:
        context = multiprocessing.get_context(start_method())
        try:
            pool = WorkerPool(workers, context, _start_worker, (packer,))
        except WorkError as error:
            log.warning("%s; going on with one worker", error)
    if pool is None:
        yield ((block, packer.pack_block(block)) for block in blocks)
        return
    try:
        with pool:
            yield results_in_order(pool, _pack_in_worker, blocks, _without_content, 2 * workers + 1)
    except BrokenProcessPool as error:
        raise WorkError("a worker process died (out of memory? try fewer workers)") from error


_worker_packer: Optional[Packer] = None


def _start_worker(packer: Packer) -> None:
    global _worker_packer
    _worker_packer = packer


def _without_content(block: TextBlock) -> TextBlock:
    return block._replace(content=b"")


def _pack_in_worker(block: TextBlock) -> PackedBlock:
    assert _worker_packer is not None
    return _worker_packer.pack_block(block)


def _check_target(target: Path, overwrite: bool, files: Sequence[Path]) -> None:
    if target.exists() and not target.is_dir():
        raise InputError(f"output_dir {target}: is a file, expected the name of a folder")
    check_output_folder(target)
    check_target(target)
    if not target.is_dir() or not any(target.iterdir()):
        return
    if not overwrite:
        raise InputError(f"output_dir {target}: is not empty (--overwrite replaces a corpus)")
    if not SHARDS_FORMAT.is_in(target):
        raise InputError(
            f"output_dir {target}: is not a corpus, --overwrite replaces a corpus only"
        )
    for path in files:
        if target.resolve() in path.resolve().parents:
            raise InputError(f"output_dir {target}: is not replaced, it holds the input {path}")
