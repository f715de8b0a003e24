"""`ModelDescription`: a trained model without its weights, and its form in `model.json`.

Engines, exported folders, the Hugging Face reader and writer, the predictor and the Gluon networks
all use this type. Where a new property belongs:

- `Architecture`: what the names and shapes of weights depend on (token types, the width of the
  attention's query, key and value, the place of the layer norms);
- `ModelDescription`, next to `layer_norm_eps`: how the encoder computes with its weights (its
  activation, another kind of layer norm);
- `HeadDescription`: what is computed from the encoder's output (another kind of head, the token or
  the mean that it reads);
- `EmbeddingDescription`: how a text's embedding is made of the encoder's output;
- `TaskDescription`: what the model was trained on; `notes`: what no code reads.

Give a new property a default, which `from_dict` uses if a file lacks the property. Let `as_dict`
write only other values. Files of models without the property then keep their bytes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.activations import DEFAULT_ACTIVATION, function_of
from bort.network.embedding import EmbeddingDescription
from bort.network.head import HeadDescription, check_fraction, read_problem_type
from bort.storage.json_fields import JsonFields, errors_naming
from bort.text.pair_form import PAIRS, ROBERTA_PAIRS, PairForm, natural_pair_form
from bort.text.vocabulary import Vocabulary

CLASSIFIER, MASKED_LM, ENCODER = "classifier", "masked_lm", "encoder"
QUESTION_ANSWERING = "question_answering"
"""Values of `ModelDescription.purpose`."""

_EXTRA_FIELDS = ("labels", "task", "max_len", "vocabulary", "metrics", PAIRS)
"""Names under `extra` that are fields of `ModelDescription`."""

_EXTRA_FIELDS_OF_TASK = ("options", "held_out", "definition")
"""Names under `extra` that are fields of `TaskDescription`, if there is a task."""


@dataclass(frozen=True)
class TaskDescription:
    """The task that a model was fine-tuned on.

    Attributes:
        name: as in `bort.tasks.records.TASKS`, or that of an own task.
        options: the options of the inputs, from `bort.tasks.options.TaskOptions.as_dict`; None if
            unknown.
        held_out: SHA-256 of the labelled examples that were kept out of the training data; None if
            there are none.
        definition: an own task as `bort.tasks.own.task.definition_of` returns it; None for a task
            of the table.
    """

    name: str
    options: Optional[Mapping[str, Any]] = None
    held_out: Optional[str] = None
    definition: Optional[Mapping[str, Any]] = None


@dataclass(frozen=True)
class ModelDescription:
    """A trained model without its weights.

    Attributes:
        architecture: sizes of the network.
        head: the head of a classifier, a regressor or a span model; None for other models.
        has_decoder: whether there are weights of the masked-token decoder. A model with a head may
            have them too, but does not use them.
        has_pooler: whether there are weights of a pooler.
        layer_norm_eps: ε of the layer norms in the encoder; above 0.
        decoder_layer_norm_eps: ε of the decoder's layer norm; above 0.
        dropout: dropout probability of the encoder in training; 0 to below 1.
        activation: between the dense layers of the feed-forward part, and in the decoder; a name of
            `bort.network.activations`.
        tied_decoder: whether the decoder's matrix is the token embedding.
        embedding: how a text's embedding is computed; None if the model does not say it.
        task: the task that the model was fine-tuned on; None if there is none.
        input_length: maximum input length in tokens during fine-tuning; None if unknown.
        vocabulary_fingerprint: fingerprint of the vocabulary that the model was trained with; None
            if unknown.
        metrics: scores on the dev set by name of metric.
        pairs: form of inputs of two texts; None if it is not recorded, see `pair_form`.
        notes: JSON-ready values that no code reads: settings of the training, origin, …

    Raises:
        InputError: a value is not allowed; the message names the field and what is allowed.
    """

    architecture: Architecture
    head: Optional[HeadDescription] = None
    has_decoder: bool = False
    has_pooler: bool = False
    layer_norm_eps: float = 1e-5
    decoder_layer_norm_eps: float = 1e-5
    dropout: float = 0.1
    activation: str = DEFAULT_ACTIVATION
    tied_decoder: bool = True
    embedding: Optional[EmbeddingDescription] = None
    task: Optional[TaskDescription] = None
    input_length: Optional[int] = None
    vocabulary_fingerprint: Optional[str] = None
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    pairs: Optional[PairForm] = None
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("layer_norm_eps", "decoder_layer_norm_eps"):
            if not 0 < getattr(self, name) < 1:
                value = getattr(self, name)
                raise InputError(f"{name} is {value!r}, allowed is above 0 to below 1")
        check_fraction("dropout", self.dropout)
        function_of(self.activation)
        if self.input_length is not None and self.input_length < 1:
            raise InputError(f"max_len is {self.input_length}, allowed is at least 1")
        if self.pairs is not None and self.pairs.typed and self.architecture.token_types < 2:
            raise InputError(
                f"pairs have token types 0 and 1, the network has {self.architecture.token_types}"
            )
        for name in self._names_in_extra():
            if name in self.notes:
                raise InputError(f"notes: {name!r} is the name of a field")

    @property
    def purpose(self) -> str:
        """Purpose of the model: `classifier`, `question_answering`, `masked_lm` or `encoder`."""
        if self.head is not None:
            return QUESTION_ANSWERING if self.head.is_span else CLASSIFIER
        return MASKED_LM if self.has_decoder else ENCODER

    @property
    def num_classes(self) -> int:
        """Number of outputs of the head; 0 without a head."""
        return 0 if self.head is None else self.head.num_classes

    @property
    def labels(self) -> Tuple[str, ...]:
        """Names of the head's outputs; () without a head."""
        return () if self.head is None else self.head.labels

    def pair_form(self, vocabulary: Vocabulary) -> PairForm:
        """Return the form of inputs of two texts.

        It is the recorded form. A fine-tuned model that records none has RoBERTa's form, with which
        version 0.2.0 trained every model; another model has the form of its vocabulary and network
        (see `natural_pair_form`).

        Args:
            vocabulary: the vocabulary of the model.
        """
        if self.pairs is not None:
            return self.pairs
        if self.task is not None:
            return ROBERTA_PAIRS
        return natural_pair_form(vocabulary, self.architecture.token_types)

    def replace(self, **changes: Any) -> ModelDescription:
        """Return a checked copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def with_scores(self, metrics: Mapping[str, float], **notes: Any) -> ModelDescription:
        """Return a copy with other metrics and additional notes."""
        return self.replace(metrics=dict(metrics), notes={**self.notes, **notes})

    def encoder_alone(self) -> ModelDescription:
        """Return the description of the same model without decoder and head."""
        return self.replace(head=None, has_decoder=False, tied_decoder=True)

    def as_dict(self) -> Dict[str, Any]:
        """Return the fields of `model.json` that describe the model; `from_dict` reads them."""
        head = self.head
        return {
            "architecture": self.architecture.as_dict(),
            "dropout": self.dropout,
            "layer_norm_eps": self.layer_norm_eps,
            "decoder_layer_norm_eps": self.decoder_layer_norm_eps,
            "use_decoder": self.has_decoder,
            "use_pooler": self.has_pooler,
            **self.embedding_if_any(),
            **self.computation_if_other(),
            "classifier": None
            if head is None
            else {
                "num_classes": head.num_classes,
                "head": head.kind,
                "dropout": head.dropout,
                **head.problem_type_if_other(),
            },
            "extra": self.extra(),
        }

    @classmethod
    def from_dict(cls, values: Any, source: str) -> ModelDescription:
        """Return the description in the content of a `model.json`.

        Args:
            values: content of the file.
            source: name of the file in error messages.

        Raises:
            InputError: the content is not an object, or a field is missing or has a wrong type or
                value; the message names the file, the field and its value.
        """
        fields = JsonFields.of(values, source)
        classifier = fields.optional_fields("classifier")
        with errors_naming(source):
            return cls(
                architecture=read_architecture(fields),
                head=None
                if classifier is None
                else HeadDescription(
                    kind=classifier.text("head"),
                    num_classes=classifier.integer("num_classes"),
                    dropout=classifier.number("dropout"),
                    problem_type=read_problem_type(classifier),
                ),
                has_decoder=fields.boolean("use_decoder"),
                has_pooler=fields.boolean("use_pooler"),
                layer_norm_eps=fields.number("layer_norm_eps"),
                decoder_layer_norm_eps=fields.number("decoder_layer_norm_eps"),
                dropout=fields.number("dropout"),
                **read_computation(fields),
                embedding=read_embedding(fields),
            ).with_extra(fields.fields("extra"))

    def computation_if_other(self) -> Dict[str, Any]:
        """Return the fields `activation` and `tied_decoder` of a description, if not the default.

        Files of models with the defaults keep the bytes of versions without the fields.
        """
        fields: Dict[str, Any] = {}
        if self.activation != DEFAULT_ACTIVATION:
            fields["activation"] = self.activation
        if not self.tied_decoder:
            fields["tied_decoder"] = False
        return fields

    def embedding_if_any(self) -> Dict[str, Any]:
        """Return the field `embedding` of a description; {} if there is none."""
        return {} if self.embedding is None else {"embedding": self.embedding.as_dict()}

    def extra(self) -> Dict[str, Any]:
        """Return the object `extra` of every format's description: labels, task, notes, …"""
        known: Dict[str, Any] = {
            "labels": None if self.head is None else list(self.head.labels),
            "max_len": self.input_length,
            "vocabulary": self.vocabulary_fingerprint,
            "metrics": dict(self.metrics) or None,
            PAIRS: None if self.pairs is None else self.pairs.as_dict(),
        }
        if self.task is not None:
            options = self.task.options
            known["task"] = self.task.name
            known["options"] = None if options is None else dict(options)
            known["held_out"] = self.task.held_out
            definition = self.task.definition
            known["definition"] = None if definition is None else dict(definition)
        return {**self.notes, **{name: x for name, x in known.items() if x is not None}}

    def with_extra(self, extra: JsonFields) -> ModelDescription:
        """Return the same model with the fields of an object `extra`.

        Raises:
            InputError: a field has another type, or the labels do not fit the head.
        """

        def has(name: str) -> bool:
            return name in extra.values

        task: Optional[TaskDescription] = None
        if has("task"):
            task = TaskDescription(
                name=extra.text("task"),
                options=extra.fields("options").values if has("options") else None,
                held_out=extra.text("held_out") if has("held_out") else None,
                definition=extra.fields("definition").values if has("definition") else None,
            )
        labels = extra.texts("labels") if has("labels") else ()
        if labels and self.head is None:
            raise InputError(f"{extra.source}: labels are {list(labels)}, but there is no head")
        metrics: Dict[str, float] = {}
        if has("metrics"):
            given = extra.fields("metrics")
            metrics = {name: given.number(name) for name in given.values}
        with errors_naming(extra.source):
            described = self.replace(
                head=None if self.head is None else dataclasses.replace(self.head, labels=labels),
                task=task,
                input_length=extra.integer("max_len") if has("max_len") else None,
                vocabulary_fingerprint=extra.text("vocabulary") if has("vocabulary") else None,
                metrics=metrics,
                pairs=PairForm.from_fields(extra.fields(PAIRS)) if has(PAIRS) else None,
                notes={},
            )
        return described.replace(notes=extra.without(*described._names_in_extra()))

    def _names_in_extra(self) -> Tuple[str, ...]:
        """Return the names under `extra` that are not notes."""
        return _EXTRA_FIELDS + (() if self.task is None else _EXTRA_FIELDS_OF_TASK)


def read_architecture(fields: JsonFields) -> Architecture:
    """Return the field `architecture` of a description.

    Raises:
        InputError: it is missing, has missing or unknown sizes, or a size is too large.
    """
    sizes = fields.fields("architecture")
    with errors_naming(fields.source):
        return Architecture.from_dict(sizes.values)


def read_computation(fields: JsonFields) -> Dict[str, Any]:
    """Return the fields `activation` and `tied_decoder` that a description has."""
    found: Dict[str, Any] = {}
    if "activation" in fields.values:
        found["activation"] = fields.text("activation")
    if "tied_decoder" in fields.values:
        found["tied_decoder"] = fields.boolean("tied_decoder")
    return found


def read_embedding(fields: JsonFields) -> Optional[EmbeddingDescription]:
    """Return the field `embedding` of a description, None if it is missing."""
    if "embedding" not in fields.values:
        return None
    return EmbeddingDescription.from_fields(fields.fields("embedding"))


def check_vocabulary(
    description: ModelDescription,
    vocabulary: Vocabulary,
    source: str = "the model",
    *,
    own: bool = False,
) -> None:
    """Raise `InputError` unless a vocabulary is the one that a model was trained with.

    Args:
        description: description of the model.
        vocabulary: the vocabulary to check.
        source: name of the model or the vocabulary in the error.
        own: whether the vocabulary was stored with the weights. The token embedding may then have
            further rows, which no token uses; otherwise this takes the recorded fingerprint.
    """
    size = description.architecture.vocabulary_size
    expected = description.vocabulary_fingerprint
    is_own = expected == vocabulary.fingerprint if expected else own
    if len(vocabulary) > size or (len(vocabulary) < size and not is_own):
        raise InputError(
            f"{source}: the model has {size} tokens, the vocabulary has {len(vocabulary)}"
        )
    if expected and expected != vocabulary.fingerprint:
        raise InputError(
            f"{source}: the vocabulary ({vocabulary.fingerprint[:12]}) is not the one that the "
            f"model was trained with ({expected[:12]})"
        )
