"""Preparation of the demonstration's text: corpus, vocabulary and shards."""

from __future__ import annotations

import logging
from pathlib import Path

from bort.process.progress import Progress
from bort.text.sentencepiece_vocabulary import SentencePieceConfig, train_sentencepiece
from bort.text.vocabularies import load_vocabulary
from data.corpus.documents import read_documents
from data.corpus.preparation import CorpusConfig, create_corpus
from data.corpus.shards import open_examples
from data.corpus.text_files import find_files
from data.generated_english.corpus import write_corpus
from data.sources.python_docs import write_python_docs
from experiments.demo.plan import GENERATED, PYTHON_DOCS, DemoConfig
from experiments.demo.training import Text, evenly_chosen

log = logging.getLogger(__name__)


def prepare_text(config: DemoConfig, folder: Path) -> Text:
    """Make the corpus, its vocabulary and its shards in `folder`.

    Raises:
        InputError: the text file is missing or invalid.
    """
    path = _corpus_file(config, folder)
    files = find_files((str(path),))
    generated = config.corpus == GENERATED
    sentences = (s for document in read_documents(files, "auto") for s in document)
    vocabulary = train_sentencepiece(
        sentences,
        SentencePieceConfig(
            vocabulary_size=config.vocabulary_size,
            model_type="bpe",
            byte_fallback=not generated,
            maximum_sentences=50_000,
        ),
    )
    vocabulary.save(folder / "vocabulary")
    share = config.held_out_share
    settings = CorpusConfig(
        input_file=tuple(map(str, files)),
        output_dir=str(folder / "shards"),
        vocab=str(folder / "vocabulary"),
        max_seq_length=config.max_seq_length,
        short_seq_prob=0.0,
        split=(1.0 - share, share),
        num_workers=1 if generated else 0,
        overwrite=True,
    )
    progress = Progress(sum(one.stat().st_size for one in files), "reading", unit="B")
    shown = 0

    def show(done: int, total: int) -> None:
        nonlocal shown
        progress.advance(done - shown)
        shown = done

    create_corpus(settings, vocabulary, show)
    progress.close()
    text = open_text(config, folder)
    log.info("%d training sequences, %d held out", len(text.train), len(text.held_out))
    return text


def open_text(config: DemoConfig, folder: Path) -> Text:
    """Open the text that `prepare_text` wrote into `folder`."""
    vocabulary = load_vocabulary(folder / "vocabulary")
    train = open_examples(folder / "shards", "train", vocabulary)
    held_out = open_examples(folder / "shards", "validation", vocabulary)
    return Text(train, evenly_chosen(held_out, config.scored_examples), vocabulary)


def _corpus_file(config: DemoConfig, folder: Path) -> Path:
    path = folder / "corpus.txt"
    if config.corpus == GENERATED:
        write_corpus(path, config.seed, config.documents)
    elif config.corpus == PYTHON_DOCS:
        write_python_docs(path)
    else:
        return Path(config.corpus)
    return path
