"""Questions and vocabularies that the tests of SQuAD share."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import List, Sequence, Tuple

import numpy as np

from bort.tasks.items import TaskItem
from bort.tasks.records import get_task
from bort.tasks.squad.windows import SpanFeatures
from bort.text.byte_bpe import ByteBPE
from bort.text.byte_bpe_files import read_fairseq
from bort.text.wordpiece import wordpiece_vocabulary
from data.readers.squad import read_squad

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,()!?'\"-東京"
WORDS = ("##bert", "the", "hotel", "##s", "200", "##8", "new", "york", "##th")
PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), *WORDS,
    *LETTERS, *(f"##{letter}" for letter in LETTERS),
]  # fmt: skip
BERT = wordpiece_vocabulary(PIECES, True, "the vocabulary of the tests")


def question(
    context: str,
    *answers: str,
    text: str = "what ?",
    index: str = "q",
    starts: Sequence[int] = (),
    known: bool = True,
) -> TaskItem:
    """Return a question whose answers stand where they first occur, unless told."""
    places = tuple(starts) or tuple(context.index(answer) for answer in answers)
    fields = {"question": text, "context": context}
    if not known:
        return TaskItem(index, fields, None, f"question {index}")
    return TaskItem(index, {**fields, "answer_starts": places}, answers, f"question {index}")


def text_of_gold(items: Sequence[TaskItem], features: SpanFeatures, window: int) -> str:
    """Return the characters of the context between the first and last piece of a window's gold."""
    shift = int(features.first_pieces[window] - features.context_begins[window])
    first = int(features.starts[window]) + shift
    last = int(features.ends[window]) + shift
    context = items[int(features.item_numbers[window])].text("context")
    return context[features.pieces.begins[first] : features.pieces.ends[last]]


def gold_logits(features: SpanFeatures, height: float = 20.0) -> List[np.ndarray]:
    """Return outputs that are high at the gold start and end of each window, and 0 elsewhere."""
    outputs = []
    for window, length in enumerate(features.lengths.tolist()):
        logits = np.zeros((length, 2), dtype=np.float32)
        if features.starts[window] > 0:
            logits[features.starts[window], 0] = logits[features.ends[window], 1] = height
        outputs.append(logits)
    return outputs


def maximum_context_of(features: SpanFeatures, window: int) -> List[bool]:
    """Return for each piece of a window's context whether it has its maximum context there."""
    sizes = features.context_ends - features.context_begins
    first = int(sizes[:window].sum())
    flags: List[bool] = features.is_maximum_context[first : first + int(sizes[window])].tolist()
    return flags


@lru_cache(maxsize=1)
def real_vocabulary(shared_data: Path) -> ByteBPE:
    """Return the vocabulary of RoBERTa."""
    return read_fairseq(shared_data / "roberta_vocab")


@lru_cache(maxsize=1)
def real_questions(shared_data: Path) -> Tuple[TaskItem, ...]:
    """Return the English questions of XQuAD."""
    record = get_task("SQuAD1.1")
    path = shared_data / "squad" / "xquad.en.json"
    return tuple(read_squad(record, record.split("dev"), path))
