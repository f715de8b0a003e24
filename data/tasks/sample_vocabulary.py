"""A small vocabulary for trying out tasks, trained on the texts of the task sample."""

from __future__ import annotations

from typing import Iterator

from bort.tasks.records import TASKS
from bort.text.sentencepiece_vocabulary import SentencePieceConfig, train_sentencepiece
from bort.text.vocabularies import ArrayVocabulary
from data.tasks.files import read_items

VOCABULARY_SIZE = 1_000


def sample_texts() -> Iterator[str]:
    """Yield all texts of all tasks in the small sample that is part of this project.

    Those of SQuAD are left out, so that the vocabulary is that of earlier versions.
    """
    for record in (record for record in TASKS if not record.has_spans):
        for split in record.splits:
            for item in read_items(record, split.name, sample=True):
                for value in item.fields.values():
                    parts = value if isinstance(value, tuple) else (value,)
                    yield from (part for part in parts if isinstance(part, str))


def train_sample_vocabulary() -> ArrayVocabulary:
    """Train the vocabulary, which is the same on every machine.

    It encodes characters that the sample lacks as bytes.
    """
    settings = SentencePieceConfig(vocabulary_size=VOCABULARY_SIZE, model_type="bpe")
    return train_sentencepiece(sample_texts(), settings)
