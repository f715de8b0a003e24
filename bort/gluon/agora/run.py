"""A run of Agora from beginning to end, in one folder, on one rank or several."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import mxnet as mx

from bort.agora.loop import run_agora
from bort.agora.reports import IterationReport
from bort.agora.socrates import CachedSocrates, check_socrates
from bort.agora.store import Answered, AnswerStore, TrainingStore
from bort.agora.table import as_dict, headings, row
from bort.agora.tau import Proposer, Tau, build_tau
from bort.agora.trainings import Training
from bort.errors import InputError
from bort.gluon.agora.models import GluonSocrates, MaskedWords
from bort.gluon.agora.outcome import finish
from bort.gluon.agora.plan import AGORA_SETTINGS_FILE, ITERATIONS_FILE, AgoraPlan
from bort.gluon.agora.trainer import AgoraTrainings, GluonTimaeus
from bort.gluon.distributed import choose_context
from bort.gluon.teacher.live import load_teacher
from bort.ranks import Communicator, on_rank_0
from bort.storage.files import write_json
from bort.storage.run_claim import claim_folder
from bort.text.vocabularies import load_vocabulary

log = logging.getLogger(__name__)

_NEEDS_PROPOSER = "substitution"


def run_agora_in_folder(
    plan: AgoraPlan,
    communicator: Communicator,
    *,
    resume: bool = False,
    cpu_only: bool = True,
    stop_requested: Callable[[], bool] = lambda: False,
    on_trained: Callable[[Training, float], None] = lambda training, score: None,
) -> Dict[str, Any]:
    """Run Agora and leave in `plan.folder` the best model, its scores and all that led to it.

    `model/` is the best model as an ordinary fine-tuned folder, `chs.json` the convergent set,
    `points.jsonl` what Socrates labelled, `iterations.json` the table, `agora.png` the figure,
    `result.json` what is returned. Trainings are dealt out to the ranks; each is durable when it is
    finished, so that a run that was stopped or killed continues with `resume`, repeats none of them
    and ends the same.

    Returns:
        What the command prints, with `stopped` when it was stopped before the end; and
        `test_predictions`: for every test set index → value, for the caller to write.

    Raises:
        InputError: a folder with another run, models or data that do not fit, a weak Socrates.
        WorkError: a training that ran into numbers that are not finite, a full disk.
    """
    task, folder, chief = plan.task, plan.folder, communicator.rank == 0
    context = choose_context(communicator, cpu_only)
    # Before anything is written: what does not fit leaves nothing.
    socrates = GluonSocrates(
        plan.socrates,
        task.data.record,
        task.form,
        context,
        plan.timaeus.batch_size_eval,
        load=chief,
    )
    tau = _tau(plan, context)
    if plan.config.labels == "soft" and task.data.record.is_regression:
        raise InputError(f"labels is 'soft', which {task.data.record.name} does not have: hard")

    def begin() -> None:
        answers = {} if resume else _check(plan, socrates, context)
        settings = plan.settings(socrates, context)
        claim_folder(
            folder, AGORA_SETTINGS_FILE, settings, "run of Agora", resume, defaults=plan.defaults()
        )
        if answers:
            AnswerStore(folder, communicator.rank).append(answers)
        _announce(plan)

    on_rank_0(communicator, begin)

    def tell(training: Training, score: float) -> None:
        on_trained(training, score)
        if chief:
            share = "" if training.budget == 1 else f" ({training.budget:.2f} of the epochs)"
            log.info("  %s: dev %.4f%s", training.theta, score, share)

    trainer = GluonTimaeus(
        task,
        plan.start,
        plan.timaeus,
        folder,
        context,
        keep_all=plan.config.warm_start,
        on_trained=tell,
    )
    trainings = AgoraTrainings(
        trainer,
        TrainingStore(folder, communicator.rank),
        communicator=communicator,
        stop_requested=stop_requested,
    )
    table = _LiveTable(folder, trainer, trainings, enabled=chief)
    result = run_agora(
        plan.config,
        plan.sets,
        task.training,
        task.dev,
        trainings=trainings,
        socrates=CachedSocrates(
            socrates,
            AnswerStore(folder, communicator.rank),
            communicator=communicator,
        ),
        tau=tau,
        report=task.report,
        more_points=plan.more_points,
        on_iteration=table.add,
    )
    summary: Dict[str, Any] = {"task": task.data.record.name, "folder": str(folder)}
    if result is None:
        return {**summary, "stopped": True}
    on_rank_0(communicator, lambda: summary.update(finish(plan, result, trainer, context)))
    return {**summary, "stopped": False}


def _check(plan: AgoraPlan, socrates: GluonSocrates, context: mx.Context) -> Dict[str, Answered]:
    """What can be known to fail before anything is written; Socrates' answers of the dev set."""
    task = plan.task
    GluonTimaeus(task, plan.start, plan.timaeus, plan.folder, context).check(plan.sets[0])
    task.report.refuse_leaks(plan.more_points, "points of a former run")
    asked = CachedSocrates(socrates)
    told = asked.label([point.example for point in task.dev])
    check_socrates(told, task.dev, allow_weak=plan.config.allow_weak_socrates)
    return asked.answers


class _LiveTable:
    """Shows each iteration and keeps it; deletes the models that nobody asks for any more."""

    def __init__(
        self, folder: Path, trainer: GluonTimaeus, trainings: AgoraTrainings, enabled: bool
    ) -> None:
        self._folder = folder
        self._trainer = trainer
        self._trainings = trainings
        self._enabled = enabled
        self._seen: Dict[str, None] = {}
        self._rows: List[Dict[str, Any]] = []

    def add(self, report: IterationReport) -> None:
        """Called by the loop on every rank; only rank 0 acts.

        The others cannot begin the next trainings before rank 0 takes part in dealing them out.
        """
        asked, self._trainings.asked = self._trainings.asked, {}
        if not self._enabled:
            return
        if not self._rows:
            log.info("%s", headings())
        log.info("%s", row(report))
        self._rows.append(as_dict(report))
        write_json(self._folder / ITERATIONS_FILE, self._rows)
        # Models of iterations that a resumed run has not reached again yet are left alone; and
        # those just asked for, which the next iteration asks for again if nothing joins.
        for handle in self._seen:
            if handle not in report.needed_handles and handle not in asked:
                shutil.rmtree(self._trainer.folder_of(handle), ignore_errors=True)
        self._seen = {h: None for h in (*self._seen, *asked) if self._exists(h)}

    def _exists(self, handle: str) -> bool:
        return self._trainer.folder_of(handle).is_dir()


def _tau(plan: AgoraPlan, context: mx.Context) -> Tau:
    config, form = plan.config, plan.task.form
    proposer: Optional[Proposer] = None
    if _NEEDS_PROPOSER in config.taus:
        proposer = _proposer(plan, context)
    return build_tau(
        config.taus,
        combination=config.tau_combination,
        share=config.tau_share,
        proposer=proposer,
        pool=[point.example for point in plan.task.training],
        editable=form.editable,
    )


def _proposer(plan: AgoraPlan, context: mx.Context) -> MaskedWords:
    source, vocabulary = plan.proposer, plan.task.data.vocabulary
    if source is not None:
        vocabulary = load_vocabulary(str(Path(source) / "vocabulary"))
        model = load_teacher(source, context=context)
    else:
        source = plan.start.pretrained
        if source is None:
            raise InputError("taus holds 'substitution', which needs a pre-trained model")
        if Path(source).is_dir():
            model = load_teacher(source, context=context)
        else:
            model = load_teacher(plan.start.architecture, checkpoint=source, context=context)
    return MaskedWords(model, vocabulary, plan.task.form, plan.timaeus.max_len)


def _announce(plan: AgoraPlan) -> None:
    task = plan.task
    log.info(
        "%s: %d training points, %d dev points, %d items kept apart for the report",
        task.data.record.name,
        len(task.training) + len(plan.more_points),
        len(task.dev),
        len(task.report_items),
    )
    if not plan.is_report_kept_from_socrates:
        log.info(
            "Socrates may have learnt the report split's labels and pass them on; fine-tune it "
            "with --report_share (and --report_seed) as here to keep them from it"
        )
    log.info("hyperparameter sets: %d", len(plan.sets))
    if plan.config.is_economical:
        log.info("economical mode, which is not the paper's")
