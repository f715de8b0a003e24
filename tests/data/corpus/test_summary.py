"""The summary of a corpus tells its size, and warns of a vocabulary that does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from bort.text.vocabularies import ArrayVocabulary, load_vocabulary
from data.corpus.preparation import CorpusConfig, create_corpus
from data.corpus.shards import open_examples
from data.corpus.summary import corpus_table, unknown_share

RUSSIAN = "Москва стоит на реке Москве\nГород стоит на реке\n\nРека течёт\n"


def word_pieces(folder: Path, words: str, lower_case: bool) -> ArrayVocabulary:
    folder.mkdir()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join([*special, *words.split()]) + "\n", "utf-8")
    settings = {"do_lower_case": lower_case, "tokenizer_class": "BertTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return load_vocabulary(folder)


def prepared(tmp_path: Path, vocabulary: ArrayVocabulary, **settings: Any) -> Dict[str, Any]:
    path = tmp_path / "text.txt"
    path.write_text(RUSSIAN, "utf-8")
    config = CorpusConfig(
        input_file=(str(path),), output_dir=str(tmp_path / "out"), max_seq_length=32, num_workers=1,
        **settings,
    )  # fmt: skip
    return create_corpus(config, vocabulary)["counts"]


@pytest.mark.parametrize("lower_case", [False, True])
def test_the_case_of_the_text_follows_the_vocabulary(
    lower_case: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A cased vocabulary finds its capitals: nothing lowers the text before it."""
    words = "Москва Москве Город Река стоит на реке течёт"
    words = words.lower() if lower_case else words
    if lower_case:
        words = words.replace("ё", "е")  # BERT's lower-casing takes accents off, too
    counts = prepared(tmp_path, word_pieces(tmp_path / "v", words, lower_case))
    assert (counts["words"], counts["unknown_tokens"]) == (11, 0)
    assert not [one for one in caplog.messages if "unknown" in one]


@pytest.mark.parametrize("passes", [1, 3])
def test_unknown_tokens_are_counted_and_warned_of(
    passes: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A vocabulary in small letters that keeps the case: it lacks the capitals."""
    vocabulary = word_pieces(tmp_path / "v", "москва москве город река стоит на реке", False)
    counts = prepared(tmp_path, vocabulary, dupe_factor=passes)
    examples = open_examples(tmp_path / "out")
    stored = np.concatenate([examples[number] for number in range(len(examples))])
    assert counts["unknown_tokens"] == (stored == vocabulary.unk_id).sum() == 5 * passes
    assert counts["words"] == 11
    share = unknown_share(counts)
    assert share == pytest.approx(counts["unknown_tokens"] / len(stored))
    assert [one for one in caplog.messages if one.startswith(f"{100 * share:.1f} % of the tokens")]


def test_the_table_shows_examples_once_they_are_known() -> None:
    counts = {"documents": 2, "words": 11, "sequences": 3, "tokens": 20, "unknown_tokens": 1}
    assert corpus_table("x", counts).split()[-4:] == ["2", "11", "3", "5.00%"]
