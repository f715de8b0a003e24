"""`Predictor`: a model folder opened for prediction."""

from __future__ import annotations

from pathlib import Path
from typing import (
    Any,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Tuple,
    Union,
)

import numpy as np

from bort.engines.choosing import open_source
from bort.engines.protocol import Engine
from bort.engines.sources import read_source
from bort.errors import InputError
from bort.inference.jobs import Job, check_is_list
from bort.inference.questioned_model import EMBEDDINGS, MASKED, QuestionedModel
from bort.inference.questions import Question
from bort.inference.reopening import Opened, open_again, opened_from
from bort.inference.results import Embedding, Prediction
from bort.network.embedding import EmbeddingDescription
from bort.storage.files import PathLike
from bort.tasks.records import TaskRecord
from bort.text.asking import OnInputs, ignore, in_windows
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary

WINDOW = 4096
"""Number of questions that are tokenised and sorted together."""

BATCH_TOKENS = 1024


class Predictor:
    """A model ready for prediction.

    Call it with questions to get the answers that the model is for: a fine-tuned model answers its
    task (a label, a number, a choice), another classifier gives what its `problem_type` says (a
    label, the labels that hold, numbers), a pre-trained model fills masks, an encoder alone returns
    embeddings. The type of a question depends on the model:

    - a text, or a tuple of texts for tasks of two texts (in the order of the task's fields);
    - for any task, a dict of the task's own fields, such as `question` and `context` of SQuAD;
    - for masks, a text that contains `<mask>` or `[MASK]`.

    Answers come in the order of the questions. Other questions in the same call change an answer
    only by rounding, since a matrix product may add in another order when the matrix has another
    height. In fp32, outputs then differ by less than 1e-5 of the largest (measured at the paper's
    size: 2e-6). With `batch_tokens=1` they do not differ at all.

    Several threads may use one predictor at once; each gets the answers to its own questions. A
    predictor that `from_pretrained` made can be pickled and copied: the copy opens the same folder
    with the same settings, and refuses a folder whose content has changed. A forked process opens
    the folder again on the first question.

    Args:
        engine: runs the model.
        vocabulary: the vocabulary that the model was trained with.
        source: name of the model in error messages.
        max_length: maximum input length in tokens; if None, the length of fine-tuning, for
            embeddings the model's own for them, else the model's maximum.
        batch_tokens: maximum number of tokens per batch, padding included; a single input may have
            more. With 1, every input is computed alone, so the bits of an answer depend only on
            its question.
        own_vocabulary: whether the vocabulary was stored with the weights, see `check_vocabulary`.

    Raises:
        InputError: the vocabulary, the labels or the task do not fit the model.
    """

    def __init__(
        self,
        engine: Engine,
        vocabulary: Vocabulary,
        *,
        source: str = "the model",
        max_length: Optional[int] = None,
        batch_tokens: int = BATCH_TOKENS,
        own_vocabulary: bool = False,
    ) -> None:
        self._model = QuestionedModel(
            engine,
            vocabulary,
            source=source,
            max_length=max_length,
            batch_tokens=batch_tokens,
            own_vocabulary=own_vocabulary,
        )
        self._opened: Optional[Opened] = None

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
        """Open a model folder: trained by this toolkit, exported (ONNX, OpenVINO), or Hugging Face.

        Args:
            folder: holds the model and its vocabulary.
            engine: `mxnet`, `onnxruntime`, `openvino`, or `auto` for the fastest installed.
            precision: `fp32`, or `fast` for the fastest precision here (`Predictor.precision`
                tells which); `bf16` or `int8` for that precision or an error.
            threads: threads of the engine; all cores of this machine if None.
            vocabulary: used instead of the one next to the model; see `load_vocabulary`.
            max_length: see the class.
            batch_tokens: see the class.

        Raises:
            InputError: a file is missing, damaged or does not fit; the message names the file.

        Example:
            predictor = Predictor.from_pretrained("runs/finetune/SST-2/model")
            print(*predictor(["a moving film", "two hours of my life"]), sep="\\n")
        """
        place = Path(folder).absolute()
        source = read_source(Path(folder))
        opened = open_source(source, engine, precision, threads)
        default = source.vocabulary_folder
        assert default is not None
        if vocabulary is None and not default.is_dir():
            raise InputError(f"{default}: no such folder; the model's vocabulary is expected there")
        words = load_vocabulary(vocabulary or default)
        predictor = cls(
            opened,
            words,
            source=str(folder),
            max_length=max_length,
            batch_tokens=batch_tokens,
            own_vocabulary=vocabulary is None,
        )
        settings = {
            "engine": engine,
            "precision": precision,
            "threads": threads,
            "vocabulary": vocabulary,
            "max_length": max_length,
            "batch_tokens": batch_tokens,
        }
        predictor._opened = opened_from(place, settings)
        return predictor

    def __reduce__(self) -> Tuple[Any, ...]:
        if self._opened is None:
            raise TypeError(
                "a Predictor that was made from an engine cannot be pickled or copied; open a "
                "folder with Predictor.from_pretrained, or make the Predictor in the worker"
            )
        content = self._opened.content(self.vocabulary_fingerprint)
        folder, settings, _ = self._opened
        return open_again, (type(self), str(folder), settings, content)

    @property
    def record(self) -> Optional[TaskRecord]:
        """The task that the model was fine-tuned on; None if there is none."""
        return self._model.record

    @property
    def labels(self) -> Tuple[str, ...]:
        """Names of a classifier's outputs.

        They are () for other models and for a regression whose outputs have no names.
        """
        return self._model.labels

    @property
    def embedding(self) -> EmbeddingDescription:
        """The way from texts to embeddings unless arguments say otherwise.

        These are the model's own settings, or the mean over all tokens.
        """
        return self._model.embedding

    @property
    def truncated(self) -> int:
        """Number of inputs so far that were too long and were shortened, of all threads."""
        return self._model.truncated

    @property
    def vocabulary_fingerprint(self) -> str:
        """Fingerprint of the vocabulary (see `Vocabulary`)."""
        return self._model.vocabulary.fingerprint

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return self._model.engine.name

    @property
    def precision(self) -> str:
        """Precision of the engine: `fp32`, `bf16` or `int8`."""
        return self._model.engine.precision

    @property
    def purpose(self) -> str:
        """Purpose of the model, which a call serves: `task`, `masked` or `embeddings`."""
        return self._model.purpose

    def __repr__(self) -> str:
        task = f" of {self.record.name}" if self.record else ""
        return f"<Predictor {self.purpose}{task}, {self.engine} {self.precision}>"

    def __call__(self, questions: Union[Iterable[Question], str, Mapping[str, Any]]) -> Any:
        """Return the answers to questions, in their order; for a single text or dict, one answer.

        Args:
            questions: see the class. A tuple counts as a collection of questions here, so put a
                pair into a list: `predictor([("one text", "another")])`.

        Returns:
            A list of `Classification`, `MultiLabelClassification`, `Regression`,
            `MultiOutputRegression`, `Choice`, `Judgements`, `ExtractedAnswer` or `FilledText`; for
            an encoder an array as from `embed`.

        Raises:
            InputError: a question has the wrong type, or a field is missing or has the wrong type;
                the message names the index of the question, from 0.
            WorkError: an output of the model is not finite.
        """
        if isinstance(questions, (str, Mapping)):
            return self([questions])[0]
        if self.purpose == EMBEDDINGS:
            return self.embed(questions)
        return list(self.stream(questions))

    def fill_masks(self, texts: Iterable[Question], top_k: int = 5) -> List[Prediction]:
        """Return the best tokens for the masks of every text (see `FilledText`).

        Args:
            texts: each contains `<mask>` or `[MASK]` once or several times.
            top_k: number of guesses per mask.
        """
        return list(self.stream(texts, purpose=MASKED, top_k=top_k))

    def embed(
        self,
        texts: Iterable[Question],
        pooling: Optional[str] = None,
        normalise: Optional[bool] = None,
        prompt: Optional[str] = None,
    ) -> np.ndarray:
        """Return texts as vectors: float32 (N, H).

        Arguments that are None take the value of `embedding`: the settings of a
        sentence-transformers folder, or the mean without normalisation and prompt.

        Args:
            texts: N texts or pairs.
            pooling: `mean` of the last hidden states of all tokens, `<s>` and `</s>` included;
                `cls` for the state of `<s>`; or another one of `bort.network.embedding.POOLINGS`.
            normalise: divide each vector by its Euclidean length.
            prompt: put before every text, of pairs before the first; `embedding.prompts` has those
                that the model knows.
        """
        hidden = self._model.engine.description.architecture.hidden
        stream = self.stream(
            texts, purpose=EMBEDDINGS, pooling=pooling, normalise=normalise, prompt=prompt
        )
        vectors = [answer.vector for answer in stream if isinstance(answer, Embedding)]
        return np.stack(vectors) if vectors else np.empty((0, hidden), dtype=np.float32)

    def stream(
        self,
        questions: Iterable[Question],
        *,
        purpose: Optional[str] = None,
        top_k: int = 5,
        n_best: int = 0,
        pooling: Optional[str] = None,
        normalise: Optional[bool] = None,
        prompt: Optional[str] = None,
        window: int = WINDOW,
    ) -> Iterator[Prediction]:
        """Yield answers in the order of the questions, with bounded memory.

        Args:
            questions: may be endless.
            purpose: `task`, `masked` or `embeddings`; the purpose of the model if None.
            top_k: number of guesses per mask.
            n_best: number of candidates to list for each question about a passage.
            pooling: pooling of embeddings, as in `embed`.
            normalise: whether embeddings are scaled to length 1, as in `embed`.
            prompt: put before the texts of embeddings, as in `embed`.
            window: number of questions that are read ahead and sorted by length.
        """
        job = self.job(
            purpose,
            top_k=top_k,
            n_best=n_best,
            pooling=pooling,
            normalise=normalise,
            prompt=prompt,
        )
        if window < 1:
            raise InputError(f"window is {window}, allowed is at least 1")
        numbered = enumerate(check_is_list(questions))
        asked = (job.questions.read(question, "", number) for number, question in numbered)
        for read_ahead in in_windows(asked, window):
            yield from job.answers(read_ahead)

    def job(
        self,
        purpose: Optional[str] = None,
        *,
        top_k: int = 5,
        n_best: int = 0,
        pooling: Optional[str] = None,
        normalise: Optional[bool] = None,
        prompt: Optional[str] = None,
        on_inputs: OnInputs = ignore,
    ) -> Job:
        """Return the steps of prediction for callers that read questions themselves.

        Arguments are as in `stream`. `on_inputs` is called after every batch with its number of
        inputs.

        Raises:
            InputError: the model has no head or decoder for the purpose, or a value is not allowed.
        """
        return self._model.job(
            purpose,
            top_k=top_k,
            n_best=n_best,
            pooling=pooling,
            normalise=normalise,
            prompt=prompt,
            on_inputs=on_inputs,
        )
