"""The super-network of the demonstration, which starts from the teacher and learns from it."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import Dict, Tuple

from bort.architecture import Architecture, get_architecture
from bort.engines.choosing import open_network
from bort.engines.protocol import MXNET
from bort.errors import InputError
from bort.gluon.super_network.evaluation import MaskedTokenScorer
from bort.gluon.super_network.text_run import train_on_text
from bort.network.array_network import ArrayNetwork
from bort.network.sub_network import check_fits
from bort.ranks import SingleProcess
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths
from bort.super_network.evaluation_config import PartEvaluationConfig
from bort.super_network.extraction import extracted_network
from bort.super_network.folder import SuperNetwork, open_super_network
from bort.super_network.sampling import UNIFORM, SamplingConfig
from bort.super_network.space import SubNetworkSpace
from experiments.demo.answers import answers_folder
from experiments.demo.places import Places
from experiments.demo.plan import DemoConfig
from experiments.demo.training import Text, architecture_for, student_settings


def sub_network_space(config: DemoConfig) -> SubNetworkSpace:
    """Return the architectures of the sub-networks."""
    return SubNetworkSpace(config.depths, config.hiddens, config.intermediates, config.heads)


def check_sizes(config: DemoConfig) -> None:
    """Check before any training that the space and a given student fit into the teacher.

    Raises:
        InputError: a size is larger than the teacher's; the message names it.
    """
    teacher = get_architecture(config.teacher)
    sub_network_space(config).check_fits(teacher)
    if config.student is None:
        return
    try:
        check_fits(teacher, get_architecture(config.student, teacher), "student", "the teacher")
    except InputError as error:
        raise InputError(f"student is {config.student!r}: {error}") from error


def super_network_settings(config: DemoConfig) -> SuperNetworkConfig:
    """Return the settings of the super-network.

    A step trains random sub-networks on the batch that a student sees in the same step, so that
    both learn from the same recorded answers. Nothing learns from the largest sub-network, because
    the teacher has answered every batch.
    """
    pretraining = dataclasses.replace(
        student_settings(config, 0, True),
        seed=config.seed,
        num_steps=config.super_network_steps,
        eval_interval=config.super_network_steps,
        ckpt_interval=max(1, config.super_network_steps // 4),
        keep_checkpoints=1,
    )
    samples = SamplingConfig(UNIFORM, random_samples=config.sub_networks_per_step)
    return SuperNetworkConfig(pretraining, samples, in_place=False)


def train_demo_super_network(
    config: DemoConfig, text: Text, places: Places
) -> Tuple[SuperNetwork, float]:
    """Train the super-network from the teacher's weights and its recorded answers.

    A training that was killed continues with its last checkpoint.

    Args:
        config: sizes.
        text: training and held-out examples.
        places: folders of the text, the teacher, its answers and the super-network.

    Returns:
        The super-network, which is in its folder, and the seconds that it took.
    """
    began = time.perf_counter()
    space = sub_network_space(config)
    paths = SuperNetworkPaths(
        output_dir=str(places.super_network),
        data=str(places.text / "shards"),
        start=str(places.teacher),
        teacher_cache=str(answers_folder(places.answers, 0)),
        depths=_words(space.depths),
        hiddens=_words(space.hiddens),
        intermediates=_words(space.intermediates),
        heads=_words(space.heads),
        cpu_only=True,
        resume=places.super_network.exists(),
    )
    train_on_text(
        paths,
        super_network_settings(config),
        text.train,
        text.held_out,
        text.vocabulary,
        SingleProcess(),
        lambda: False,
    )
    return open_super_network(places.super_network), time.perf_counter() - began


def slice_of(super_network: Path, architecture: Architecture) -> ArrayNetwork:
    """Return a sub-network of the super-network in a folder."""
    source = open_super_network(super_network)
    return extracted_network(source, source.read_network(), architecture)


def slice_scores(config: DemoConfig, text: Text, super_network: Path) -> Dict[str, float]:
    """Return the held-out scores of the students' slice of the super-network.

    Args:
        config: settings with the architecture of the students.
        text: held-out examples.
        super_network: folder of the super-network.

    Returns:
        `mlm_loss`, `mlm_accuracy` and `perplexity`, on the batches that students are scored on.
    """
    assert config.student is not None, "the search or --student sets it"
    scoring = PartEvaluationConfig(seed=config.seed, batch_size=config.batch_size)
    scorer = MaskedTokenScorer(text.held_out, text.vocabulary, scoring, config.max_seq_length)
    network = slice_of(super_network, architecture_for(config.student, text, config))
    scores = scorer.score(open_network(network, MXNET))
    return {**scores, "perplexity": math.exp(scores["mlm_loss"])}


def _words(values: Tuple[int, ...]) -> Tuple[str, ...]:
    return tuple(map(str, values))
