"""The form of an input of two texts, and the token types that follow from it.

BERT joins two texts as `[CLS] A [SEP] B [SEP]` and gives `B [SEP]` the token type 1 (arXiv
1810.04805, section 3.2). RoBERTa joins them as `<s> A </s></s> B </s>` without token types (arXiv
1907.11692). The form is a property of a model: its vocabulary says how many separators there are,
its network whether there are types, and a trained model records the form that it was trained with.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from bort.errors import InputError
from bort.storage.json_fields import JsonFields, errors_naming, read_fields
from bort.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class PairForm:
    """The form of an input of two texts; the default is that of RoBERTa.

    Attributes:
        separators: number of `</s>` between the two texts, 1 or 2.
        typed: whether the second text and the `</s>` behind it have token type 1; all other tokens
            have type 0. It needs a single separator, after which the second text begins.

    Raises:
        InputError: the number is not allowed, or there are types with two separators.
    """

    separators: int = 2
    typed: bool = False

    def __post_init__(self) -> None:
        if type(self.separators) is not int or self.separators not in (1, 2):
            raise InputError(f"separators is {self.separators!r}, allowed are 1 and 2")
        if self.typed and self.separators != 1:
            raise InputError("token_types is true, allowed with separators 2 is false")

    def type_separator(self, vocabulary: Vocabulary) -> Optional[int]:
        """Return the id behind which tokens have type 1; None if all have type 0."""
        return vocabulary.eos_id if self.typed else None

    def join(self, vocabulary: Vocabulary, *texts: Sequence[int]) -> List[int]:
        """Return `<s> A </s>` of the ids of one text, or the ids of two texts in this form."""
        ids = [vocabulary.bos_id, *texts[0], vocabulary.eos_id]
        for further in texts[1:]:
            ids += [vocabulary.eos_id] * (self.separators - 1)
            ids += [*further, vocabulary.eos_id]
        return ids

    def token_types(self, vocabulary: Vocabulary, ids: Sequence[int]) -> List[int]:
        """Return the token types of ids that `join` returned."""
        separator = self.type_separator(vocabulary)
        if separator is None:
            return [0] * len(ids)
        types: List[int] = token_types_of(np.array([ids]), np.array([len(ids)]), separator)[
            0
        ].tolist()
        return types

    def as_dict(self) -> Dict[str, Any]:
        """Return the JSON form, which `from_fields` reads."""
        return {"separators": self.separators, "token_types": self.typed}

    @classmethod
    def from_fields(cls, fields: JsonFields) -> PairForm:
        """Return the form in a JSON object.

        Raises:
            InputError: a field is missing or has another type or value; names file and field.
        """
        separators, typed = fields.integer("separators"), fields.boolean("token_types")
        with errors_naming(f"{fields.source}: {fields.within}"):
            return cls(separators, typed)


PAIRS = "pairs"
"""The name of the form in the records of models and runs."""

ROBERTA_PAIRS, BERT_PAIRS = PairForm(), PairForm(separators=1, typed=True)


def natural_pair_form(vocabulary: Vocabulary, token_types: int) -> PairForm:
    """Return the form of a model that does not record one.

    Args:
        vocabulary: its vocabulary. If its files do not tell the form (WordPiece that version 0.2.0
            saved), a network of two token types has that of BERT, any other network that of
            RoBERTa, with which version 0.2.0 trained it.
        token_types: rows of the network's token-type embedding.
    """
    if not vocabulary.pair_recorded:
        return BERT_PAIRS if token_types >= 2 else ROBERTA_PAIRS
    typed = vocabulary.pair_second_type == 1 and token_types >= 2
    return PairForm(vocabulary.pair_separators, typed)


def pair_form_of_run(record: Path) -> Optional[PairForm]:
    """Return the form that a run was begun with; None if there is no run.

    Args:
        record: the file in which the run recorded its settings. Runs of version 0.2.0 recorded no
            form, and had that of RoBERTa.

    Raises:
        InputError: the file or the field is damaged; the message names them.
    """
    if not record.exists():
        return None
    fields = read_fields(record)
    return PairForm.from_fields(fields.fields(PAIRS)) if PAIRS in fields.values else ROBERTA_PAIRS


def token_types_of(input_ids: np.ndarray, lengths: np.ndarray, separator: int) -> np.ndarray:
    """Return token types, int32 (B, L): 1 behind the first separator, 0 elsewhere and at padding.

    The rule is exact for rows that `bort.tasks.features.tokenise` makes, because vocabularies never
    return a separator for a text. A row of one text ends with its only separator, so its types are
    all 0.

    Args:
        input_ids: int (B, L), `<s> A </s> B </s>` or `<s> A </s>` in every row.
        lengths: int (B,), number of tokens in every row that are not padding.
        separator: id of `</s>`.

    >>> ids = np.array([[0, 5, 2, 6, 7, 2, 1], [0, 5, 2, 1, 1, 1, 1]])
    >>> token_types_of(ids, np.array([6, 3]), 2).tolist()
    [[0, 0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0]]
    """
    found = input_ids == separator
    behind = np.cumsum(found, axis=1) - found > 0
    inside = np.arange(input_ids.shape[1])[np.newaxis, :] < np.asarray(lengths)[:, np.newaxis]
    types: np.ndarray = (behind & inside).astype(np.int32)
    return types
