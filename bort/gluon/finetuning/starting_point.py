"""The starting point of fine-tuning: a pre-trained encoder and the head of a task."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional, Tuple

import mxnet as mx

from bort.architecture import get_architecture
from bort.errors import InputError
from bort.formats.network_folder import (
    check_rows,
    read_folder_description,
    read_network_folder,
    vocabulary_of,
)
from bort.gluon.finetuning.from_teacher import student_classifier
from bort.gluon.network.array_network import with_head
from bort.gluon.network.model import BortModel
from bort.gluon.network.networks import HeadedNetwork
from bort.gluon.network.parameters import load_parameters, set_parameters
from bort.gluon.network.pretrained import PARAMETERS_FILE, PARAMETERS_URL, RELEASED_VOCABULARY
from bort.gluon.network.teacher_start import TeacherStart
from bort.network.head import (
    MULTI_LABEL,
    ONE_LINEAR,
    RELEASE,
    TWO_LINEAR,
    UNSCALED,
    HeadDescription,
    LabelUnit,
    span_head,
)
from bort.network.parameter_names import HEAD_PREFIXES
from bort.tasks.formulations import input_labels, output_count
from bort.tasks.judging import TaskData
from bort.tasks.records import EXTRA_LAYER
from bort.text.pair_form import PairForm, natural_pair_form
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary
from bort.training.finetuning_config import FinetuningConfig, FinetuningPaths

log = logging.getLogger(__name__)

SAMPLE_ARCHITECTURE = "2-2-64-128"
"""The architecture of the random model that `--sample` starts from if no model is given."""

_NOT_ENCODER = ("decoder.", "pooler.", *HEAD_PREFIXES)


@dataclass(frozen=True)
class StartingPoint:
    """The source of the encoder's weights.

    Attributes:
        pretrained: a model folder, a Hugging Face folder or a `.params` file; None draws random
            weights.
        architecture: architecture of a `.params` file or of random weights.
        teacher: folder of a model whose token types and form of pairs random weights take over;
            None: none.
        initialise_from: the model of which the encoder is a slice; None: none.
        stored_in: folder in which its importance may be stored; None: none.
    """

    pretrained: Optional[str]
    architecture: str
    teacher: Optional[str] = None
    initialise_from: Optional[TeacherStart] = None
    stored_in: Optional[Path] = None


def starting_point(
    paths: FinetuningPaths,
    make_sample_vocabulary: Callable[[], Vocabulary],
    start: Optional[TeacherStart] = None,
) -> Tuple[StartingPoint, Vocabulary]:
    """Return the source of the weights and their vocabulary.

    Args:
        paths: the paths that the user gave.
        make_sample_vocabulary: returns the vocabulary of the random model that `--sample` starts
            from.
        start: the model of which the encoder is a slice; None: none.

    Raises:
        InputError: the model does not exist; or no model is given and there are no released
            weights.
    """
    source = paths.pretrained_parameters
    if start is not None:
        own = load_vocabulary(paths.vocab or str(vocabulary_of(start.folder)))
        return StartingPoint(None, paths.architecture, initialise_from=start), own
    if source is None and paths.teacher is not None:
        return _beside_teacher(paths, paths.teacher)
    if source is None and paths.sample:
        log.info("no --pretrained_parameters: starting from a small model with random weights")
        vocabulary = (
            make_sample_vocabulary() if paths.vocab is None else load_vocabulary(paths.vocab)
        )
        return StartingPoint(None, SAMPLE_ARCHITECTURE), vocabulary
    if source is None:
        source = str(Path("model") / PARAMETERS_FILE)
        if not Path(source).is_file():
            raise InputError(
                f"{source}: no such file; download it from {PARAMETERS_URL} to that place, name "
                "another model with --pretrained_parameters, or try --sample"
            )
    if not Path(source).exists():
        raise InputError(f"{source}: no such file or folder")
    inside = vocabulary_of(source)
    name = paths.vocab or (str(inside) if Path(source).is_dir() else RELEASED_VOCABULARY)
    return StartingPoint(source, paths.architecture), load_vocabulary(name)


def _beside_teacher(paths: FinetuningPaths, teacher: str) -> Tuple[StartingPoint, Vocabulary]:
    """Return random weights with the vocabulary of a teacher."""
    if not teacher or not Path(teacher).is_dir():
        raise InputError(f"teacher is {teacher!r}: no such folder")
    is_default = paths.architecture == FinetuningPaths.defaults()["architecture"]
    architecture = SAMPLE_ARCHITECTURE if paths.sample and is_default else paths.architecture
    log.info("no --pretrained_parameters: starting from random weights of %s", architecture)
    vocabulary = load_vocabulary(paths.vocab or str(vocabulary_of(teacher)))
    return StartingPoint(None, architecture, teacher), vocabulary


def pair_form(start: StartingPoint, vocabulary: Vocabulary) -> PairForm:
    """Return the form of inputs of two texts for a model that starts there.

    It is that of the model folder or of the teacher (see `ModelDescription.pair_form`); for a
    `.params` file, for other random weights and for a slice without the model's token types it
    follows from the vocabulary and the architecture.

    Raises:
        InputError: the folder holds no model, or the architecture is unknown.
    """
    if start.pretrained is not None and Path(start.pretrained).is_dir():
        return read_folder_description(start.pretrained).pair_form(vocabulary)
    if start.teacher is not None:
        return read_folder_description(start.teacher).pair_form(vocabulary)
    if start.initialise_from is not None:
        found = start.initialise_from.network.description
        types = start.initialise_from.sizes(start.architecture, vocabulary).token_types
        if types == found.architecture.token_types:
            return found.pair_form(vocabulary)
        return natural_pair_form(vocabulary, types)
    return natural_pair_form(vocabulary, get_architecture(start.architecture).token_types)


def build_classifier(
    data: TaskData,
    start: StartingPoint,
    config: FinetuningConfig,
    context: mx.Context,
    *,
    is_fresh: bool = True,
) -> HeadedNetwork:
    """Return a network of the pre-trained encoder and a head for the task.

    The head is that of a classifier or regressor, or for a task with spans that of a span model.

    A pooler or decoder of the source is not used, and its head by a slice alone; see
    `student_classifier`.

    Args:
        data: data of the task.
        start: source of the encoder's weights.
        config: settings of the training.
        context: device of the weights.
        is_fresh: whether the weights count; those of a resumed run come from its checkpoint.

    Raises:
        InputError: the model has another vocabulary, or a file is missing or damaged.
    """
    head = head_of_task(data, _kind_of_head(data, config), config.dropout)
    origin = start.pretrained or start.architecture
    if start.initialise_from is not None:
        network = student_classifier(
            start.initialise_from,
            start.architecture,
            data,
            config,
            head,
            context,
            is_fresh=is_fresh,
            stored_in=start.stored_in,
        )
        _check_types(data, network.bort, origin)
        return network
    mx.random.seed(config.seed)
    model = _encoder(data, start, config, context)
    _check_types(data, model, origin)
    started = with_head(model, head)
    started.initialize(ctx=context)
    return started


def head_of_task(data: TaskData, kind: str, dropout: float) -> HeadDescription:
    """Return the description of the head that a task needs.

    Args:
        data: data of the task.
        kind: kind of the head of a classifier or regressor; a task with spans has its own.
        dropout: dropout probability of that head.
    """
    if data.record.has_spans:
        return span_head()
    classes = output_count(data.record, data.options)
    labels = input_labels(data.record, data.options)
    problem = MULTI_LABEL if data.record.several_labels else ""
    unit = UNSCALED
    if data.record.is_regression:
        unit = LabelUnit.of(data.train.features.labels)
    return HeadDescription(kind, classes, labels, dropout, problem, unit)


def _kind_of_head(data: TaskData, config: FinetuningConfig) -> str:
    if config.head == "paper" and data.record.head == EXTRA_LAYER:
        return TWO_LINEAR
    return RELEASE if config.head == "release" else ONE_LINEAR


def _check_types(data: TaskData, model: BortModel, origin: str) -> None:
    """Raise `InputError` unless the model has the token types of the data."""
    if data.pairs.typed and model.architecture.token_types < 2:
        raise InputError(
            f"{origin}: has {model.architecture.token_types} token types, the data has token types "
            "0 and 1"
        )


def _encoder(
    data: TaskData, start: StartingPoint, config: FinetuningConfig, context: mx.Context
) -> BortModel:
    size = len(data.vocabulary)
    source = start.pretrained
    if source is not None and Path(source).is_dir():
        network = read_network_folder(source)
        found = network.description
        check_rows(source, found.architecture.vocabulary_size, data.vocabulary)
        model = BortModel(
            found.architecture,
            dropout=config.dropout,
            use_decoder=False,
            layer_norm_eps=found.layer_norm_eps,
            activation=found.activation,
        )
        arrays = network.arrays
        kept = {n: value for n, value in arrays.items() if not n.startswith(_NOT_ENCODER)}
        set_parameters(model, kept, source, context)
        return model
    architecture = get_architecture(start.architecture)
    if source is None:
        architecture = architecture.replace(vocabulary_size=size)
        if start.teacher is not None and not architecture.token_types:
            types = read_folder_description(start.teacher).architecture.token_types
            architecture = architecture.replace(token_types=types)
    elif architecture.vocabulary_size != size:
        raise InputError(
            f"{source}: {start.architecture} has {architecture.vocabulary_size} tokens, "
            f"the vocabulary has {size}"
        )
    model = BortModel(architecture, dropout=config.dropout, use_decoder=False)
    if source is None:
        model.initialize(ctx=context)
    else:
        load_parameters(model, source, context, ignore=_NOT_ENCODER)
    return model
