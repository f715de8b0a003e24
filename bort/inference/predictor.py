"""`Predictor`: a folder opened for use, questions in and answers out."""

from __future__ import annotations

from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Union,
)

import numpy as np

from bort.engines.choosing import open_source
from bort.engines.protocol import Engine
from bort.engines.sources import read_source
from bort.errors import InputError
from bort.inference.answering import check_finite, filled_text, task_answers, text_answers
from bort.inference.fitting import labels_of, maximum_length, task_of
from bort.inference.questions import (
    MASK_PATTERN,
    TEXT,
    Asked,
    MaskedQuestions,
    Question,
    Questions,
    TaskQuestions,
    TextQuestions,
)
from bort.inference.results import Answer, Embedding
from bort.inference.running import MEAN, POOLINGS, Runner
from bort.network.description import CLASSIFIER, ENCODER, MASKED_LM, check_vocabulary
from bort.storage.files import PathLike
from bort.tasks.features import TaskFeatures, TooLittleRoom, tokenise
from bort.text.asking import OnInputs, ignore, in_windows
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary
from bort.text.wordpiece import WordPiece

TASK, MASKED, EMBEDDINGS = "task", "masked", "embeddings"
PURPOSES = (TASK, MASKED, EMBEDDINGS)
_PURPOSE_OF_MODEL = {CLASSIFIER: TASK, MASKED_LM: MASKED, ENCODER: EMBEDDINGS}
WINDOW = 4096
"""Questions that are tokenised and sorted together."""

BATCH_TOKENS = 1024


class Predictor:
    """A model in use.

    Call it with questions to get what the model is for: a fine-tuned one answers its task (labels,
    a number, a choice), a pre-trained one fills masks, an encoder alone gives embeddings. What a
    question is depends on the model:

    - a text, or a tuple of texts for tasks of two (in the order of the task's fields);
    - for any task, a dict of the task's own fields;
    - for masks a text with `<mask>` or `[MASK]` in it.

    Answers come in the order of the questions. An answer does not depend on what else is asked, but
    for rounding: matrices of other heights may be multiplied in another order. In fp32 outputs then
    differ by less than 1e-5 of the largest (measured at the paper's size: 2e-6); with
    `batch_tokens=1` they do not differ at all.

    Args:
        engine: computes.
        vocabulary: of its inputs; must be the one that the model was trained with.
        source: what to name in errors.
        max_length: longest input in tokens; what the model was fine-tuned with if None, else what
            it takes.
        batch_tokens: most tokens that are computed together, padding included; one input alone may
            have more. With 1 every input is computed by itself, so that the bits of an answer
            depend on its question alone.

    Attributes:
        record: the task that the model was fine-tuned on, None for none.
        labels: of a classifier's outputs; () for other models and a regression.
        truncated: inputs that were too long and have been shortened so far.

    Raises:
        InputError: vocabulary, labels or task do not fit the model.
    """

    def __init__(
        self,
        engine: Engine,
        vocabulary: Vocabulary,
        *,
        source: str = "the model",
        max_length: Optional[int] = None,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        described = engine.description
        check_vocabulary(described, vocabulary, source)
        self._engine = engine
        self._vocabulary = vocabulary
        self._source = source
        self.record, self._options = task_of(described, source)
        self.labels = labels_of(described, source)
        self._max_length = maximum_length(described, max_length, source)
        self._runner = Runner(engine, vocabulary.pad_id, batch_tokens)
        self._no_pairs = ""
        if isinstance(vocabulary, WordPiece) and described.architecture.token_types:
            self._no_pairs = (
                "this model tells two texts apart by token types, which are not supported here"
            )
        self.truncated = 0

    @classmethod
    def from_pretrained(
        cls,
        folder: PathLike,
        *,
        engine: str = "auto",
        precision: str = "fp32",
        threads: Optional[int] = None,
        vocabulary: Optional[str] = None,
        max_length: Optional[int] = None,
        batch_tokens: int = BATCH_TOKENS,
    ) -> Predictor:
        """Open a folder: one made by this toolkit, an export (ONNX, OpenVINO), or Hugging Face's.

        Args:
            folder: holds the model, and its vocabulary.
            engine: `mxnet`, `onnxruntime`, `openvino`, or `auto` for the fastest installed.
            precision: `fp32`, or `fast` for what is fastest here (`Predictor.precision` says what
                it was).
            threads: of the engine; the cores of this machine if None.
            vocabulary: instead of the one beside the model; see `load_vocabulary`.
            max_length: see the class.
            batch_tokens: see the class.

        Raises:
            InputError: something is missing, damaged or does not fit; names the file.

        Example:
            predictor = Predictor.from_pretrained("runs/finetune/SST-2/model")
            print(*predictor(["a moving film", "two hours of my life"]), sep="\\n")
        """
        source = read_source(Path(folder))
        opened = open_source(source, engine, precision, threads)
        beside = source.vocabulary_folder
        assert beside is not None
        if vocabulary is None and not beside.is_dir():
            raise InputError(f"{beside}: no such folder; the model's vocabulary is expected there")
        words = load_vocabulary(vocabulary or beside)
        return cls(
            opened, words, source=str(folder), max_length=max_length, batch_tokens=batch_tokens
        )

    @property
    def engine(self) -> str:
        """Name of the engine that computes."""
        return self._engine.name

    @property
    def precision(self) -> str:
        """What the engine computes with: `fp32`, `bf16` or `int8`."""
        return self._engine.precision

    @property
    def purpose(self) -> str:
        """What a call answers: `task`, `masked` or `embeddings`."""
        return _PURPOSE_OF_MODEL[self._engine.description.purpose]

    def __repr__(self) -> str:
        task = f" of {self.record.name}" if self.record else ""
        return f"<Predictor {self.purpose}{task}, {self.engine} {self.precision}>"

    def __call__(self, questions: Union[Iterable[Question], str, Mapping[str, Any]]) -> Any:
        """Answers to questions, in their order; to one text or dict its answer alone.

        Args:
            questions: see the class. A tuple is a collection of questions here, so put a pair into
                a list: `predictor([("one text", "another")])`.

        Returns:
            A list of `Classification`, `Regression`, `Choice`, `Judgements` or `FilledText`; for an
            encoder an array, see `embed`.

        Raises:
            InputError: a question is of another kind, or a field is missing or of a wrong type;
                names the question's number, from 0.
            WorkError: the model's output is not finite.
        """
        if isinstance(questions, (str, Mapping)):
            return self([questions])[0]
        if self.purpose == EMBEDDINGS:
            return self.embed(questions)
        return list(self.stream(questions))

    def fill_masks(self, texts: Iterable[Question], top_k: int = 5) -> List[Answer]:
        """The best tokens for the masks of every text (see `FilledText`).

        Args:
            texts: with `<mask>` or `[MASK]`, once or several times.
            top_k: guesses a mask.
        """
        return list(self.stream(texts, purpose=MASKED, top_k=top_k))

    def embed(
        self, texts: Iterable[Question], pooling: str = MEAN, normalise: bool = False
    ) -> np.ndarray:
        """Texts as vectors: float32 (N, H).

        Args:
            texts: texts or pairs.
            pooling: `mean` of the last hidden states of all tokens, `<s>` and `</s>` included, or
                `cls` for that of `<s>`.
            normalise: divide each vector by its Euclidean length.
        """
        hidden = self._engine.description.architecture.hidden
        stream = self.stream(texts, purpose=EMBEDDINGS, pooling=pooling, normalise=normalise)
        vectors = [answer.vector for answer in stream if isinstance(answer, Embedding)]
        return np.stack(vectors) if vectors else np.empty((0, hidden), dtype=np.float32)

    def stream(
        self,
        questions: Iterable[Question],
        *,
        purpose: Optional[str] = None,
        top_k: int = 5,
        pooling: str = MEAN,
        normalise: bool = False,
        window: int = WINDOW,
    ) -> Iterator[Answer]:
        """Answers one by one, in the order of the questions, with bounded memory.

        Args:
            questions: may be endless.
            purpose: `task`, `masked` or `embeddings`; what the model is for if None.
            top_k: guesses a mask.
            pooling: of embeddings.
            normalise: embeddings.
            window: questions that are read ahead and sorted by length together.
        """
        job = self.job(purpose, top_k=top_k, pooling=pooling, normalise=normalise)
        if window < 1:
            raise InputError(f"window is {window}, allowed is at least 1")
        numbered = enumerate(_several(questions))
        asked = (job.questions.read(question, "", number) for number, question in numbered)
        for read_ahead in in_windows(asked, window):
            yield from job.answers(read_ahead)

    def job(
        self,
        purpose: Optional[str] = None,
        *,
        top_k: int = 5,
        pooling: str = MEAN,
        normalise: bool = False,
        on_inputs: OnInputs = ignore,
    ) -> Job:
        """The two halves of prediction, for who reads questions himself; arguments as in `stream`.

        `on_inputs` is called after every batch with how many inputs were in it.

        Raises:
            InputError: the model has no head or no decoder for that, or a value is not allowed.
        """
        purpose = purpose or self.purpose
        if purpose not in PURPOSES:
            raise InputError(f"purpose is {purpose!r}, allowed are {', '.join(PURPOSES)}")
        described = self._engine.description
        if purpose == TASK and described.purpose != CLASSIFIER:
            raise InputError(f"{self._source}: has no head for a task")
        if purpose == MASKED and described.purpose != MASKED_LM:
            raise InputError(f"{self._source}: has no decoder, it cannot fill masks")
        if pooling not in POOLINGS:
            raise InputError(f"pooling is {pooling!r}, allowed are {', '.join(POOLINGS)}")
        if top_k < 1:
            raise InputError(f"top_k is {top_k}, allowed is at least 1")
        questions: Questions = TextQuestions(self._no_pairs)
        if purpose == TASK and self.record is not None:
            questions = TaskQuestions(self.record, self._options)
        elif purpose == MASKED:
            questions = MaskedQuestions()

        def answer(asked: Sequence[Asked], features: TaskFeatures) -> List[Answer]:
            if purpose == EMBEDDINGS:
                return self._embedded(features, pooling, normalise, on_inputs)
            if purpose == MASKED:
                return self._filled(asked, features, top_k, on_inputs)
            return self._judged(asked, features, on_inputs)

        return Job(questions, self._tokenised, answer)

    def _tokenised(self, asked: Sequence[Asked]) -> TaskFeatures:
        inputs = [
            one._replace(item=number) for number, each in enumerate(asked) for one in each.inputs
        ]
        try:
            features = tokenise(inputs, self._vocabulary, self._max_length)
        except TooLittleRoom as error:
            raise InputError(f"{asked[error.item].item.where}: {error.reason}") from error
        self.truncated += features.truncated
        return features

    def _judged(
        self, asked: Sequence[Asked], features: TaskFeatures, on_inputs: OnInputs
    ) -> List[Answer]:
        outputs = self._runner.outputs(features, on_inputs)
        if self.record is None:
            return text_answers(self.labels, outputs)
        items = [one.item for one in asked]
        return task_answers(self.record, self._options, items, features, outputs)

    def _filled(
        self, asked: Sequence[Asked], features: TaskFeatures, top_k: int, on_inputs: OnInputs
    ) -> List[Answer]:
        mask_id = self._vocabulary.mask_id
        positions = [np.flatnonzero(features[row] == mask_id) for row in range(len(features))]
        answers: Dict[int, Answer] = {}
        for number, logits in self._runner.token_logits(features, positions, on_inputs):
            parts = MASK_PATTERN.split(asked[number].item.text(TEXT))
            answers[number] = filled_text(parts, logits, self._vocabulary, top_k)
        return [answers[number] for number in range(len(asked))]

    def _embedded(
        self, features: TaskFeatures, pooling: str, normalise: bool, on_inputs: OnInputs
    ) -> List[Answer]:
        vectors = self._runner.pooled(features, pooling, on_inputs)
        check_finite(vectors)
        if normalise:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors /= np.where(lengths > 0, lengths, 1.0)
        return [Embedding(vector) for vector in vectors]


class Job(NamedTuple):
    """What is asked of a predictor, in two halves: understanding questions, and answering them.

    Attributes:
        questions: read them one by one with `questions.read`.
        tokenise: inputs of several that were read.
        answer: answers to them, in their order.
    """

    questions: Questions
    tokenise: Callable[[Sequence[Asked]], TaskFeatures]
    answer: Callable[[Sequence[Asked], TaskFeatures], List[Answer]]

    def answers(self, asked: Sequence[Asked]) -> List[Answer]:
        """Answers to questions that were read, in their order.

        Raises:
            InputError: a question cannot be shortened to what the model takes.
            WorkError: the model's output is not finite.
        """
        return self.answer(asked, self.tokenise(asked)) if asked else []


def _several(questions: Iterable[Question]) -> Iterable[Question]:
    if isinstance(questions, (str, Mapping)) or not isinstance(questions, Iterable):
        raise InputError(f"{str(questions)[:40]!r} was given, expected is a list of questions")
    return questions
