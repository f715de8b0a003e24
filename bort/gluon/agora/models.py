"""Socrates and the proposer of substitutions on MXNet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from scipy.special import softmax

from bort.agora.examples import Example, Token, content_key
from bort.agora.socrates import SocratesAnswer
from bort.agora.task_points import TaskPoints
from bort.agora.tau import TokenPlace
from bort.errors import InputError
from bort.formats.network_folder import (
    description_file,
    is_huggingface_folder,
    read_folder_description,
)
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.gluon.teacher.live import GluonTeacher
from bort.network.model_folder import fingerprint_of_model
from bort.ranks import SingleProcess
from bort.storage.files import read_json
from bort.storage.json_fields import errors_naming
from bort.tasks.features import TaskFeatures, TooLittleRoom, tokenise
from bort.tasks.options import TaskOptions
from bort.tasks.records import TaskRecord
from bort.text.asking import types_of_rows
from bort.text.examples import MaskedBatch
from bort.text.masking import EVALUATION_EPOCH
from bort.text.padding import pad_rows, rounded_up
from bort.text.pair_form import natural_pair_form
from bort.text.vocabulary import Vocabulary

_ONE_WORD = re.compile(r"\w+|[^\w\s]")


class GluonSocrates:
    """Socrates from a fine-tuned model folder; implements `bort.agora.SocratesLabeller`.

    Args:
        folder: model folder of a fine-tuning run.
        record: the task.
        form: converts examples to inputs.
        context: the device; the CPU by default.
        batch_size: inputs per batch; it can change the last bits of a probability.
        load: whether to load the model now instead of on first use. Ranks that only read cached
            answers never load it.

    Raises:
        InputError: the folder holds no fine-tuned model, or one of another task.
    """

    def __init__(
        self,
        folder: Path,
        record: TaskRecord,
        form: TaskPoints,
        context: Optional[mx.Context] = None,
        batch_size: int = 32,
        load: bool = True,
    ) -> None:
        self._folder = folder
        self._context = context
        self._record = record
        self._classifier = self._open() if load else None
        self._form = form
        self._batch_size = batch_size
        self.fingerprint = (
            str(fingerprint_of_model(str(folder)))
            if is_huggingface_folder(folder)
            else content_key(read_json(description_file(folder)))
        )

    def label(self, examples: Sequence[Example]) -> List[SocratesAnswer]:
        """Return the class and probabilities of each example, or the value of a regression."""
        if self._classifier is None:
            self._classifier = self._open()
        classifier = self._classifier
        inputs = self._form.inputs(examples)
        features = tokenise(inputs, classifier.vocabulary, classifier.max_length, classifier.pairs)
        outputs = classifier.outputs(features, SingleProcess(), self._batch_size)
        if self._record.label_range is not None:
            return [
                SocratesAnswer(float(v)) for v in np.clip(outputs[:, 0], *self._record.label_range)
            ]
        return [SocratesAnswer.from_probabilities(row) for row in softmax(outputs, axis=1)]

    def _open(self) -> TaskClassifier:
        classifier = TaskClassifier.load(self._folder, self._context)
        classifier.check_task(self._record)
        return classifier


class MaskedWords:
    """A proposer of substitutions by a masked language model; implements `bort.agora.Proposer`.

    All places are masked at once, with one `<mask>` per word. A word is replaced by words of one
    token and a punctuation mark by other marks; a leading space is kept. Proposals are
    deterministic: τ draws among them with its own generator.

    Differs from the paper, which does not state the number of proposals: here it is `count`.

    Args:
        model: a masked language model.
        vocabulary: vocabulary of the model.
        form: converts examples to inputs.
        max_length: longest input in tokens.
        count: number of proposals for each place, at least 1.

    Raises:
        InputError: the vocabulary has more tokens than the model.
    """

    def __init__(
        self,
        model: GluonTeacher,
        vocabulary: Vocabulary,
        form: TaskPoints,
        max_length: int,
        count: int = 20,
    ) -> None:
        if model.vocabulary_size < len(vocabulary):
            raise InputError(
                f"the proposer has {model.vocabulary_size} tokens, its vocabulary has "
                f"{len(vocabulary)}"
            )
        self._model = model
        self._vocabulary = vocabulary
        self._form = form
        self._max_length = min(max_length, model.architecture.maximum_length)
        self._count = count
        self._pairs = natural_pair_form(vocabulary, model.architecture.token_types)
        self._words, self._fitting = _word_table(vocabulary)

    def propose(
        self, example: Example, places: Sequence[TokenPlace]
    ) -> List[List[Tuple[Token, float]]]:
        """Return the most probable words at each place, with their probabilities.

        A `<mask>` is never truncated. If an input has no room for all of them, only every second
        place gets proposals, or every fourth and so on; the other places get an empty list.
        """
        masked = list(places)
        while masked:
            one, numbers = self._form.masked(example, masked)
            try:
                features = tokenise([one], self._vocabulary, self._max_length, self._pairs)
                break
            except TooLittleRoom:
                masked = masked[1::2]
        if not masked:
            return [[] for _ in places]
        masks = np.flatnonzero(features[0] == self._vocabulary.mask_id)
        logits = self._answer(features, masks[numbers])
        found = {
            (n, p): self._choose(logits[row], str(example.segments[n][p]))
            for row, (n, p) in enumerate(masked)
        }
        return [found.get((n, p), []) for n, p in places]

    def _answer(self, features: TaskFeatures, positions: np.ndarray) -> np.ndarray:
        """Return logits, float64 (places, V); rounded-up shapes reuse compiled graphs."""
        ids = features[0]
        padded, lengths = pad_rows([ids], rounded_up(len(ids)), self._vocabulary.pad_id)
        padded_positions, _ = pad_rows([positions], rounded_up(len(positions), 4), 0)
        batch = MaskedBatch(
            padded,
            lengths,
            padded_positions,
            labels=np.zeros_like(padded_positions),
            weights=np.zeros(padded_positions.shape, dtype=np.float32),
            example_ids=np.zeros(1, dtype=np.int64),
            epoch=EVALUATION_EPOCH,
            token_types=types_of_rows(features, padded, lengths),
        )
        answer = self._model.answer(batch).asnumpy()[0, : len(positions)]
        return np.asarray(answer, dtype=np.float64)

    def _choose(self, logits: np.ndarray, word: str) -> List[Tuple[Token, float]]:
        bare = word.lstrip()
        white = word[: len(word) - len(bare)]
        fitting = self._fitting[bool(white), _is_mark(bare)]
        if not len(fitting):
            return []
        order = np.argsort(-logits[fitting], kind="stable")[: self._count]
        chosen = fitting[order]
        weights = softmax(logits[chosen])
        return [(white + self._words[int(i)], float(w)) for i, w in zip(chosen, weights) if w > 0]


def _word_table(
    vocabulary: Vocabulary,
) -> Tuple[Dict[int, str], Dict[Tuple[bool, bool], np.ndarray]]:
    """Return the words by id, and the ids by (starts a word, is a punctuation mark).

    A word without a leading space, such as the "t" of "don't", continues the preceding text.
    """
    words: Dict[int, str] = {}
    fitting: Dict[Tuple[bool, bool], List[int]] = {
        (begins, mark): [] for begins in (False, True) for mark in (False, True)
    }
    special = set(vocabulary.special_ids)
    for number in range(len(vocabulary)):
        if number in special:
            continue
        word = vocabulary.decode([number]).strip()
        if _ONE_WORD.fullmatch(word) is None or "\ufffd" in word or not word.isprintable():
            continue
        words[number] = word
        fitting[bool(vocabulary.starts_word[number]), _is_mark(word)].append(number)
    return words, {key: np.array(ids, dtype=np.int64) for key, ids in fitting.items()}


def _is_mark(word: str) -> bool:
    return re.fullmatch(r"\w+", word) is None


def options_of(folder: Path) -> TaskOptions:
    """Return the task options of a fine-tuned model folder.

    Raises:
        InputError: the folder does not record its task.
    """
    task = read_folder_description(folder).task
    source = description_file(folder)
    if task is None or task.options is None:
        raise InputError(f"{source}: does not say what it was fine-tuned on; fine-tune it first")
    with errors_naming(str(source)):
        return TaskOptions.from_dict(task.options, str(source))
