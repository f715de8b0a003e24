"""Scoring of many sub-networks of one super-network without training them."""

from __future__ import annotations

import gc
import logging
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Sequence

import mxnet as mx
import numpy as np

from bort.architecture import Architecture
from bort.engines.answers import engine_answers
from bort.engines.choosing import open_network, require_engine
from bort.engines.protocol import Engine
from bort.errors import InputError
from bort.gluon.distributed import choose_context
from bort.gluon.engine import set_openmp_threads
from bort.gluon.finetuning.finetune import DevSet, dev_metrics
from bort.gluon.pretraining.evaluation import evaluation_batches, score_masked_tokens
from bort.network.array_network import ArrayNetwork
from bort.ranks import ALONE, Communicator, on_rank_0
from bort.storage.files import write_json
from bort.storage.locks import hold_run_folder
from bort.storage.run_claim import claim_folder
from bort.super_network.evaluation_config import PartEvaluationConfig
from bort.super_network.extraction import extracted_network
from bort.super_network.folder import SuperNetwork
from bort.super_network.parts import part_name
from bort.super_network.scores import (
    EVALUATION_FILE,
    MASKED_TOKEN_LOSS,
    PART_SCORES,
    PartScore,
    ScoreStore,
    best_first,
    score_rows,
)
from bort.super_network.shared_scoring import share_scoring
from bort.tasks.judging import TaskSet, make_judge
from bort.tasks.options import TaskOptions
from bort.text.examples import ExampleSource, MaskedBatch
from bort.text.masking import Masking
from bort.text.padding import rounded_up
from bort.text.vocabulary import Vocabulary

log = logging.getLogger(__name__)

SUMMARY_FILE = "scores.json"
_RESULTS = (f"{PART_SCORES}-rank*.jsonl",)


class PartScorer(Protocol):
    """Scores sub-networks on the same data.

    Attributes:
        longest: tokens of the longest input.
        identity: JSON-ready values that identify the data; a resumed evaluation has the same.
    """

    longest: int
    identity: Mapping[str, Any]

    def score(self, engine: Engine) -> Mapping[str, float]:
        """Return the scores of a network on an engine, by name of metric."""


class MaskedTokenScorer:
    """Scores networks by the loss at masked positions of held-out text; a `PartScorer`.

    Args:
        examples: held-out examples.
        vocabulary: vocabulary of the examples.
        config: masks, seed and batches.
        longest_allowed: longest input of the networks, in tokens.

    Raises:
        InputError: there are no examples, none has a token to predict, or one is too long.
    """

    def __init__(
        self,
        examples: ExampleSource,
        vocabulary: Vocabulary,
        config: PartEvaluationConfig,
        longest_allowed: int,
    ) -> None:
        self.longest = int(max(examples.lengths, default=1))
        batches = evaluation_batches(
            examples,
            Masking(vocabulary, config.masks.policy, config.seed),
            batch_size=config.batch_size,
            communicator=ALONE,
            maximum_length=min(longest_allowed, rounded_up(self.longest)),
        )
        self._batches = _spread(batches, config.held_out_batches)
        if not sum(batch.prediction_count for batch in self._batches):
            raise InputError("the held-out text has no token to predict")
        self.identity: Mapping[str, Any] = {"data": examples.fingerprint}

    def score(self, engine: Engine) -> Dict[str, float]:
        """Return the masked-token loss in nats and the share of correct predictions."""

        def answer(batch: MaskedBatch) -> np.ndarray:
            return engine.predict_tokens(
                batch.input_ids, batch.valid_lengths, batch.masked_positions, batch.token_types
            )

        found = score_masked_tokens(answer, self._batches, ALONE, mx.cpu())
        return {MASKED_TOKEN_LOSS: found.mlm_loss, "mlm_accuracy": found.mlm_accuracy}


class TaskScorer:
    """Scores networks by a task's official metrics on labelled splits; a `PartScorer`.

    Args:
        task_set: the split.
        options: formulation of its inputs.
        pad_id: id of the padding token.
        batch_size: inputs per batch.
        further: further splits of the task; with them, the metrics are those of
            `bort.gluon.finetuning.finetune.dev_metrics` by `name/split`.

    Attributes:
        items: number of examples of all splits.

    Raises:
        InputError: an item has no label.
    """

    def __init__(
        self,
        task_set: TaskSet,
        options: TaskOptions,
        pad_id: int,
        batch_size: int,
        further: Sequence[TaskSet] = (),
    ) -> None:
        sets = [task_set, *further]
        self._sets = [DevSet(one.split, one.features, make_judge(options, one)) for one in sets]
        self._pad_id, self._batch_size = pad_id, batch_size
        self._per_token = task_set.record.has_spans
        self.items = sum(len(one.items) for one in sets)
        self.longest = max(int(max(one.features.lengths, default=1)) for one in sets)
        prints = {one.split: one.features.fingerprint for one in sets}
        self.identity: Mapping[str, Any] = {
            "task": task_set.record.name,
            "split": ", ".join(prints),
            "options": options.as_dict(),
            "data": prints if further else prints[task_set.split],
        }

    def score(self, engine: Engine) -> Mapping[str, float]:
        """Return the official metrics, as fractions.

        Raises:
            WorkError: a metric is not finite.
        """
        return dev_metrics(
            engine_answers(engine),
            self._sets,
            rows=self._batch_size,
            pad_id=self._pad_id,
            width=engine.description.num_classes,
            ranks=ALONE,
            where=part_name(engine.description.architecture),
            per_token=self._per_token,
            longest_allowed=engine.description.architecture.maximum_length,
        )


def evaluate_parts(
    source: SuperNetwork,
    parts: Sequence[Architecture],
    scorer: PartScorer,
    config: PartEvaluationConfig,
    folder: Path,
    communicator: Communicator,
    *,
    resume: bool = False,
    cpu_only: bool = True,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Optional[List[PartScore]]:
    """Score sub-networks of a super-network, each once, on one of the ranks.

    The scores are lines of `scores-rank<n>.jsonl` in the folder. A killed or stopped evaluation
    continues with `resume`, which may also add sub-networks.

    Args:
        source: the super-network.
        parts: sub-networks, which fit into the whole network; a repeated one is scored once.
        scorer: scores one network.
        config: settings of the evaluation.
        folder: folder of the evaluation.
        communicator: the ranks that share the work.
        resume: continue the evaluation in the folder.
        cpu_only: run on the CPU even if there is a GPU.
        stop_requested: called before each sub-network; True stops.

    Returns:
        The scores, the best first; None if the evaluation was stopped.

    Raises:
        InputError: a sub-network does not fit, the folder holds another evaluation, or a file is
            damaged.
        WorkError: the disk is full.
    """
    require_engine(config.engine)
    for part in parts:
        source.part(part)
    length = config.length or scorer.longest
    if length > source.whole.maximum_length:
        raise InputError(
            f"length is {length}, allowed is at most {source.whole.maximum_length}, the longest "
            "input of the super-network"
        )
    with hold_run_folder(folder, communicator):
        on_rank_0(communicator, lambda: _claim(source, scorer, config, folder, resume))
        context = choose_context(communicator, cpu_only)

        def run(network: ArrayNetwork) -> PartScore:
            gpu = context.device_id if context.device_type == "gpu" else None
            engine = open_network(network, config.engine, threads=config.threads, gpu=gpu)
            gc.collect()  # Gluon's blocks refer to each other: this frees the network before
            return PartScore(network.architecture, length, scorer.score(engine))

        set_openmp_threads(config.threads)
        return _score(source, parts, run, folder, communicator, stop_requested)


def _claim(
    source: SuperNetwork,
    scorer: PartScorer,
    config: PartEvaluationConfig,
    folder: Path,
    resume: bool,
) -> None:
    settings = {
        "super_network": source.fingerprint,
        **scorer.identity,
        "settings": config.results_settings(),
    }
    defaults = {"settings": PartEvaluationConfig.defaults()}
    claim_folder(
        folder,
        EVALUATION_FILE,
        settings,
        "scoring run",
        resume,
        defaults=defaults,
        results=_RESULTS,
    )


def _score(
    source: SuperNetwork,
    parts: Sequence[Architecture],
    run: Callable[[ArrayNetwork], PartScore],
    folder: Path,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
) -> Optional[List[PartScore]]:
    """Score in a folder that this process holds; see `evaluate_parts`."""
    chief = communicator.rank == 0
    store = ScoreStore(folder, communicator.rank)
    whole: List[ArrayNetwork] = []

    def work(part: Architecture) -> PartScore:
        if not whole:  # a finished evaluation reads no weights
            whole.append(source.read_network())
        return run(extracted_network(source, whole[0], part, metrics={}))

    found = share_scoring(
        list(dict.fromkeys(parts)),
        work,
        store,
        "scoring sub-networks",
        "network",
        communicator=communicator,
        stop_requested=stop_requested,
    )
    if found is None:
        return None
    scores = best_first(list(found.values()))
    if chief:
        write_json(folder / SUMMARY_FILE, {"scores": [one.as_dict() for one in scores]})
        log.info("\n%s\n", score_rows(scores))
    return scores


def _spread(batches: List[MaskedBatch], count: int) -> List[MaskedBatch]:
    """Return `count` batches at equal distances; all of them for 0."""
    if not 0 < count < len(batches):
        return batches
    return [batches[number * len(batches) // count] for number in range(count)]
