"""`QuestionedModel`: questions into a model's inputs, and its outputs into answers."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from bort.engines.protocol import Engine
from bort.errors import InputError
from bort.inference.answering import check_finite, filled_text, task_answers, text_answers
from bort.inference.fitting import embedding_length, labels_of, maximum_length, task_of
from bort.inference.jobs import Job, QuestionFeatures
from bort.inference.passages import passage_answers, passage_windows
from bort.inference.questions import (
    MASK_PATTERN,
    TEXT,
    Asked,
    MaskedQuestions,
    Questions,
    TaskQuestions,
    TextQuestions,
)
from bort.inference.results import Embedding, Prediction
from bort.inference.running import Runner
from bort.network.description import (
    CLASSIFIER,
    ENCODER,
    MASKED_LM,
    QUESTION_ANSWERING,
    check_vocabulary,
)
from bort.network.embedding import EmbeddingDescription, check_pooling
from bort.process.forks import ForkLock
from bort.tasks.features import TaskFeatures, TooLittleRoom, tokenise
from bort.tasks.squad.windows import SpanFeatures
from bort.text.asking import OnInputs
from bort.text.vocabulary import Vocabulary

TASK, MASKED, EMBEDDINGS = "task", "masked", "embeddings"
PURPOSES = (TASK, MASKED, EMBEDDINGS)
_PURPOSE_OF_MODEL = {
    CLASSIFIER: TASK,
    QUESTION_ANSWERING: TASK,
    MASKED_LM: MASKED,
    ENCODER: EMBEDDINGS,
}


class QuestionedModel:
    """A model with its vocabulary and its task, which several threads may question at once.

    Args:
        engine, vocabulary, source, max_length, batch_tokens, own_vocabulary: see
            `bort.inference.predictor.Predictor`.

    Attributes:
        engine: runs the model.
        vocabulary: the vocabulary.
        record, labels, embedding: see `Predictor`.
        truncated: number of inputs so far that were too long and were shortened, of all threads.

    Raises:
        InputError: the vocabulary, the labels or the task do not fit the model.
    """

    def __init__(
        self,
        engine: Engine,
        vocabulary: Vocabulary,
        *,
        source: str,
        max_length: Optional[int],
        batch_tokens: int,
        own_vocabulary: bool,
    ) -> None:
        described = engine.description
        check_vocabulary(described, vocabulary, source, own=own_vocabulary)
        self.engine = engine
        self.vocabulary = vocabulary
        self._source = source
        self.record, self._options = task_of(described, source)
        self.labels = labels_of(described, source)
        self._max_length = maximum_length(described, max_length, source)
        self._given_length = max_length
        self.embedding = described.embedding or EmbeddingDescription()
        self._runner = Runner(engine, vocabulary.pad_id, batch_tokens)
        self._pairs = described.pair_form(vocabulary)
        self.truncated = 0
        self._counting = ForkLock()

    @property
    def purpose(self) -> str:
        """See `Predictor`."""
        return _PURPOSE_OF_MODEL[self.engine.description.purpose]

    def job(
        self,
        purpose: Optional[str],
        *,
        top_k: int,
        n_best: int,
        pooling: Optional[str],
        normalise: Optional[bool],
        prompt: Optional[str],
        on_inputs: OnInputs,
    ) -> Job:
        """Return the steps of prediction; see `Predictor.job`.

        Raises:
            InputError: the model has no head or decoder for the purpose, or a value is not allowed.
        """
        purpose = purpose or self.purpose
        if purpose not in PURPOSES:
            raise InputError(f"purpose is {purpose!r}, allowed are {', '.join(PURPOSES)}")
        described = self.engine.description
        if purpose == TASK and described.purpose not in (CLASSIFIER, QUESTION_ANSWERING):
            raise InputError(f"{self._source}: has no head for a task")
        if purpose == MASKED and described.purpose != MASKED_LM:
            raise InputError(f"{self._source}: has no decoder, so it cannot fill masks")
        own = self.embedding
        pooling = own.pooling if pooling is None else pooling
        normalise = own.normalise if normalise is None else normalise
        prompt = own.prompt if prompt is None else prompt
        check_pooling(pooling)
        if top_k < 1:
            raise InputError(f"top_k is {top_k}, allowed is at least 1")
        if n_best < 0:
            raise InputError(f"n_best is {n_best}, allowed is at least 0")
        questions: Questions = TextQuestions()
        length = self._max_length
        if purpose == EMBEDDINGS:
            questions = TextQuestions(prompt, own.lower_case)
            length = embedding_length(described, self._given_length, self._source)
            if prompt and not own.pools_prompt:
                raise InputError(
                    f"{self._source}: the prompt is {prompt!r}, but the pooling leaves out prompts "
                    'here, which is not supported; allowed is ""'
                )
        elif purpose == TASK and self.record is not None:
            questions = TaskQuestions(self.record, self._options)
        elif purpose == MASKED:
            questions = MaskedQuestions()

        chosen = pooling, normalise

        def answer(asked: Sequence[Asked], features: Any) -> List[Prediction]:
            if purpose == EMBEDDINGS:
                return self._embedded(features, *chosen, on_inputs)
            if purpose == MASKED:
                return self._filled(asked, features, top_k, on_inputs)
            return self._judged(asked, features, n_best, on_inputs)

        has_windows = purpose == TASK and self.record is not None and self.record.has_spans
        return Job(questions, lambda asked: self._tokenised(asked, length, has_windows), answer)

    def _tokenised(
        self, asked: Sequence[Asked], max_length: int, has_windows: bool = False
    ) -> QuestionFeatures:
        features: QuestionFeatures
        if has_windows:
            how = (self.vocabulary, self._pairs, self._options, max_length)
            features = passage_windows(asked, *how)
        else:
            inputs = [one._replace(item=n) for n, each in enumerate(asked) for one in each.inputs]
            try:
                features = tokenise(
                    inputs, self.vocabulary, max_length, self._pairs, has_fingerprint=False
                )
            except TooLittleRoom as error:
                raise InputError(f"{asked[error.item].item.where}: {error.reason}") from error
        with self._counting:
            self.truncated += features.truncated
        return features

    def _judged(
        self, asked: Sequence[Asked], features: QuestionFeatures, n_best: int, on_inputs: OnInputs
    ) -> List[Prediction]:
        outputs = self._runner.outputs(features, on_inputs)
        if isinstance(features, SpanFeatures):
            check_finite(outputs)
            assert self.record is not None
            how = (self.record, self._options, asked, features, outputs)
            return passage_answers(*how, n_best)
        if self.record is None:
            head = self.engine.description.head
            assert head is not None
            return text_answers(head, self.labels, outputs)
        items = [one.item for one in asked]
        return task_answers(self.record, self._options, items, features, outputs)

    def _filled(
        self, asked: Sequence[Asked], features: TaskFeatures, top_k: int, on_inputs: OnInputs
    ) -> List[Prediction]:
        mask_id = self.vocabulary.mask_id
        positions = [np.flatnonzero(features[row] == mask_id) for row in range(len(features))]
        answers: Dict[int, Prediction] = {}
        for number, logits in self._runner.token_logits(features, positions, on_inputs):
            parts = MASK_PATTERN.split(asked[number].item.text(TEXT))
            answers[number] = filled_text(parts, logits, self.vocabulary, top_k)
        return [answers[number] for number in range(len(asked))]

    def _embedded(
        self, features: TaskFeatures, pooling: str, normalise: bool, on_inputs: OnInputs
    ) -> List[Prediction]:
        vectors = self._runner.pooled(features, pooling, on_inputs)
        check_finite(vectors)
        if normalise:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors /= np.where(lengths > 0, lengths, 1.0)
        return [Embedding(vector) for vector in vectors]
