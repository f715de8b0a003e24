"""Every piece of hand-made files is in the shards, and in the batches of all ranks, once."""

from __future__ import annotations

import string
from collections import Counter
from typing import Any, Dict, List

import numpy as np
import pytest

from bort.text.batch_plan import BatchPlan
from bort.text.wordpiece import wordpiece_vocabulary
from data.corpus import packing
from data.corpus.preparation import CorpusConfig, create_corpus
from data.corpus.shards import open_examples

# Every word is one piece wherever it stands, so words are counted without a tokenizer.
WORDS = [a + b for a in string.ascii_lowercase for b in string.ascii_lowercase]
VOCABULARY = wordpiece_vocabulary(
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS], True, "here"
)
LIMIT = 12


def words(first: int, count: int) -> str:
    return " ".join(WORDS[(first + n) % len(WORDS)] for n in range(count))


FILES: Dict[str, List[bytes]] = {
    "one document": [f"{words(0, 5)}\n{words(9, 4)}\n".encode()],
    "one word": [b"ab\n"],
    "no final newline": [f"{words(0, 5)}\n{words(9, 4)}".encode()],
    "files without final newlines": [words(0, 3).encode(), words(5, 3).encode(), b"zz"],
    "CRLF": [f"{words(0, 5)}\r\n{words(9, 4)}\r\n\r\n{words(20, 3)}\r\n".encode()],
    "CR": [f"{words(0, 5)}\r{words(9, 4)}\r\r{words(20, 3)}".encode()],
    "both ends of lines": [f"{words(0, 5)}\r\n{words(9, 4)}\n\r\n{words(20, 3)}\n".encode()],
    "empty lines": [f"\n\n \n\t\n{words(0, 5)}\n\n\n \n{words(9, 4)}\n\n\n".encode()],
    "empty lines with CRLF": [f"\r\n\r\n{words(0, 5)}\r\n\r\n\r\n{words(9, 4)}\r\n\r\n".encode()],
    "a sentence over the limit": [f"{words(0, 3)}\n{words(9, 100)}\n{words(30, 4)}\n".encode()],
    "a sentence alone over the limit": [words(9, 101).encode()],
    "sentences around the limit": [
        "\n".join(words(20 * n, LIMIT - 4 + n) for n in range(6)).encode()
    ],
    "spaces at the ends of lines": [f"  {words(0, 5)}  \n\t{words(9, 4)}\t\n".encode()],
    "a byte order mark": [f"\ufeff{words(0, 5)}\n".encode()],
    "many documents of one word": ["\n\n".join(WORDS[:40]).encode()],
}


@pytest.fixture(params=sorted(FILES))
def contents(request: Any) -> List[bytes]:
    return FILES[request.param]


def pieces_in(contents: List[bytes]) -> Counter:
    return Counter(word for one in contents for word in one.decode("utf-8-sig").split())


def written(folder: Any, contents: List[bytes], **settings: Any) -> Any:
    paths = [folder / f"{number}.txt" for number in range(len(contents))]
    for path, content in zip(paths, contents):
        path.write_bytes(content)
    config = CorpusConfig(
        input_file=tuple(map(str, paths)),
        output_dir=str(folder / "out"),
        max_seq_length=LIMIT,
        num_workers=1,
        **settings,
    )
    create_corpus(config, VOCABULARY)
    return open_examples(folder / "out")


def pieces_of(rows: List[np.ndarray]) -> Counter:
    return Counter(VOCABULARY.decode([piece]) for row in rows for piece in row[1:-1].tolist())


@pytest.mark.parametrize("short", [0.0, 0.5])
def test_the_shards_hold_every_piece_once_and_no_empty_example(
    tmp_path: Any, contents: List[bytes], short: float
) -> None:
    examples = written(tmp_path, contents, num_outputs=8, short_seq_prob=short)
    rows = [examples[number] for number in range(len(examples))]
    assert pieces_of(rows) == pieces_in(contents)
    for row in rows:
        assert 3 <= len(row) <= LIMIT
        assert (row[0], row[-1]) == (VOCABULARY.bos_id, VOCABULARY.eos_id)
    assert len(examples.shards) == 8, "shards without a document can be read, too"


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_the_batches_of_all_ranks_hold_every_piece_once_an_epoch(tmp_path: Any, ranks: int) -> None:
    """There are fewer documents than ranks times shards."""
    contents = FILES["sentences around the limit"] + FILES["one document"]
    examples = written(tmp_path, contents, num_outputs=4)
    assert ranks <= len(examples) < 4 * 5
    plan = BatchPlan(examples.lengths, seed=0, batch_size=1, parts=ranks)
    for epoch in range(2):
        seen = [
            examples[number]
            for step in range(plan.steps_per_epoch * epoch, plan.steps_per_epoch * (epoch + 1))
            for rank in range(ranks)
            for number in plan.step(step).part(rank, ranks).tolist()
            if number >= 0
        ]
        assert pieces_of(seen) == pieces_in(contents)


def test_a_sentence_cut_off_at_the_limit_is_noticed(tmp_path: Any, monkeypatch: Any) -> None:
    whole = packing._EncodedSentences.without_space
    monkeypatch.setattr(
        packing._EncodedSentences, "without_space", lambda *one: whole(*one)[: 2 * (LIMIT - 2)]
    )
    contents = FILES["a sentence over the limit"]
    examples = written(tmp_path, contents)
    rows = [examples[number] for number in range(len(examples))]
    assert pieces_of(rows) != pieces_in(contents)


def test_an_empty_example_beside_an_over_long_one_is_noticed(
    tmp_path: Any, monkeypatch: Any
) -> None:
    """AutoTinyBERT makes these two of a sentence over the limit."""
    cuts = packing.Packer._cuts
    monkeypatch.setattr(packing.Packer, "_cuts", lambda self, packed: [cuts(self, packed)[0]] * 2)
    examples = written(tmp_path, FILES["a sentence over the limit"])
    assert examples.lengths.min() == 2
    assert examples.lengths.max() > LIMIT
