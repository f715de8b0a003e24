"""Runs of Agora in a folder, on one or several ranks."""

from __future__ import annotations

import contextlib
import logging
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import mxnet as mx

from bort.agora.allowed_labels import AllowedLabels
from bort.agora.counting import TrainingCount
from bort.agora.label_classes import LabelClasses
from bort.agora.loop import run_agora
from bort.agora.reports import IterationReport
from bort.agora.socrates import CachedSocrates, check_socrates
from bort.agora.store import Answered, AnswerStore, TrainingStore
from bort.agora.table import as_dict, headings, row
from bort.agora.task_data import check_agora_learns
from bort.agora.tau import Proposer, Tau, build_tau
from bort.agora.trainings import Training
from bort.errors import InputError
from bort.formats.network_folder import check_rows, vocabulary_of
from bort.gluon.agora.models import GluonSocrates, MaskedWords
from bort.gluon.agora.outcome import finish
from bort.gluon.agora.plan import AGORA_SETTINGS_FILE, ITERATIONS_FILE, AgoraPlan
from bort.gluon.agora.trainer import AgoraTrainings, GluonTimaeus
from bort.gluon.distributed import choose_context
from bort.gluon.teacher.live import load_teacher
from bort.process.progress import Progress
from bort.ranks import Communicator, on_rank_0
from bort.storage.files import write_json
from bort.storage.locks import hold_run_folder
from bort.storage.run_claim import claim_folder, is_begun
from bort.text.vocabularies import load_vocabulary

log = logging.getLogger(__name__)

_NEEDS_PROPOSER = "substitution"
_RESULTS, _REMAINS = ("trainings-rank*.jsonl",), ("answers-rank*.jsonl",)


def run_agora_in_folder(
    plan: AgoraPlan,
    communicator: Communicator,
    *,
    resume: bool = False,
    cpu_only: bool = True,
    stop_requested: Callable[[], bool] = lambda: False,
    on_trained: Callable[[Training, float], None] = lambda training, score: None,
    show_progress: bool = False,
    is_held: bool = False,
) -> Dict[str, Any]:
    """Run Agora, and write the best model and all results to `plan.folder`.

    The folder holds the best model `model/` as a fine-tuned model folder, the convergent
    hyperparameter set `chs.json`, the points that Socrates labelled `points.jsonl`, the table of
    iterations `iterations.json`, the figure `agora.png` and the summary `result.json`.

    The ranks share the trainings, and every finished training is stored. A run that was stopped or
    killed continues with `resume`: it repeats no finished training and has the same result.

    Args:
        plan: settings, data and models.
        communicator: the ranks.
        resume: continue the run in the folder; without a finished training, the run begins.
        cpu_only: run on the CPU even if there is a GPU.
        stop_requested: called before every training; True stops the run.
        on_trained: called after each training of this rank with its dev score.
        show_progress: whether rank 0 shows the progress of the trainings; a caller with its own
            progress does not need it.
        is_held: whether the caller holds the folder already, see `hold_run_folder`.

    Returns:
        The values that the command prints. `stopped` is whether the run was stopped before its end.
        A finished run adds `test_predictions` if there are test sets: for each, a mapping from
        index to prediction, which the caller writes.

    Raises:
        InputError: the folder holds another run or is used by another process, models or data do
            not fit together, or Socrates is too weak.
        WorkError: a loss is not finite, or the disk is full.
    """
    holding = contextlib.nullcontext() if is_held else hold_run_folder(plan.folder, communicator)
    with holding:
        return _run(plan, communicator, resume, cpu_only, stop_requested, on_trained, show_progress)


def _run(
    plan: AgoraPlan,
    communicator: Communicator,
    resume: bool,
    cpu_only: bool,
    stop_requested: Callable[[], bool],
    on_trained: Callable[[Training, float], None],
    show_progress: bool,
) -> Dict[str, Any]:
    """Run Agora in a folder that this process holds; see `run_agora_in_folder`."""
    task, folder, chief = plan.task, plan.folder, communicator.rank == 0
    context = choose_context(communicator, cpu_only)
    # These checks come before anything is written, so a refused run leaves no files.
    check_agora_learns(task.data.record)
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
        raise InputError(
            f"labels is 'soft', allowed for the regression {task.data.record.name} is 'hard'"
        )

    def begin() -> None:
        continues = resume and is_begun(folder, AGORA_SETTINGS_FILE, _RESULTS)
        answers = {} if continues else _check(plan, socrates, context)
        settings = plan.settings(socrates, context)
        claim_folder(
            folder,
            AGORA_SETTINGS_FILE,
            settings,
            "run of Agora",
            resume,
            defaults=plan.defaults(),
            results=_RESULTS,
            remains=_REMAINS,
        )
        if answers:
            AnswerStore(folder, communicator.rank).append(answers)
        if plan.start.initialise_from is not None:
            plan.start.initialise_from.save(folder)
        _announce(plan)

    on_rank_0(communicator, begin)

    def report_training(training: Training, score: float) -> None:
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
        on_trained=report_training,
    )
    allowed = AllowedLabels.of(task.data.record, task.data.options)
    store = TrainingStore(folder, communicator.rank, len(task.dev), allowed)
    trainings = AgoraTrainings(
        trainer,
        store,
        communicator=communicator,
        stop_requested=stop_requested,
    )
    table = _LiveTable(folder, trainer, trainings, enabled=chief)
    progress = _TrainingProgress()
    try:
        result = run_agora(
            plan.config,
            plan.sets,
            task.training,
            task.dev,
            trainings=trainings,
            socrates=CachedSocrates(
                socrates,
                AnswerStore(folder, communicator.rank, allowed),
                communicator=communicator,
            ),
            tau=tau,
            report=task.report,
            more_points=plan.more_points,
            classes=LabelClasses.of_task(task.data.record),
            on_iteration=table.add,
            on_progress=progress.show if show_progress and chief else None,
        )
    finally:
        progress.close()
    summary: Dict[str, Any] = {"task": task.data.record.name, "folder": str(folder)}
    if result is None:
        if chief:
            count = len(store.load())
            log.info("stopped after training %d as asked; --resume continues", count)
        return {**summary, "stopped": True}
    on_rank_0(communicator, lambda: summary.update(finish(plan, result, trainer, context)))
    return {**summary, "stopped": False}


def _check(plan: AgoraPlan, socrates: GluonSocrates, context: mx.Context) -> Dict[str, Answered]:
    """Check model and data, and return Socrates' answers for the dev set; writes nothing."""
    task = plan.task
    GluonTimaeus(task, plan.start, plan.timaeus, plan.folder, context).check(plan.sets[0])
    task.report.refuse_leaks(plan.more_points, "points of a former run")
    labeller = CachedSocrates(socrates)
    answers = labeller.label([point.example for point in task.dev])
    classes = LabelClasses.of_task(task.data.record)
    check_socrates(answers, task.dev, classes, allow_weak=plan.config.allow_weak_socrates)
    return labeller.answers


class _TrainingProgress:
    """The progress of the trainings; the ETA excludes those of an earlier, interrupted run."""

    def __init__(self) -> None:
        self._progress: Optional[Progress] = None
        self._shown = TrainingCount(0, 0, 0)

    def show(self, count: TrainingCount) -> None:
        """Show a count of the loop."""
        if self._progress is None:
            self._progress = Progress(count.at_most, "trainings", unit="training", is_bound=True)
        found = count.found - self._shown.found
        self._progress.recount(count.at_most, found)
        self._progress.advance(count.done - self._shown.done - found)
        self._shown = count

    def close(self) -> None:
        """Close the bar."""
        if self._progress is not None:
            self._progress.close()


class _LiveTable:
    """The table of iterations: logs and saves each row, and deletes models that are not needed."""

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
        """Add the row of an iteration; the loop calls this on every rank, and rank 0 acts.

        The other ranks cannot start the next trainings before rank 0 takes part in sharing them.
        """
        requested, self._trainings.requested = self._trainings.requested, {}
        if not self._enabled:
            return
        if not self._rows:
            log.info("%s", headings())
        log.info("%s", row(report))
        self._rows.append(as_dict(report))
        write_json(self._folder / ITERATIONS_FILE, self._rows)
        # Keep the models of iterations that a resumed run has not reached yet, and those just
        # requested: the next iteration requests them again if it adds no points.
        for handle in self._seen:
            if handle not in report.needed_handles and handle not in requested:
                shutil.rmtree(self._trainer.folder_of(handle), ignore_errors=True)
        self._seen = {h: None for h in (*self._seen, *requested) if self._exists(h)}

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
        vocabulary = load_vocabulary(vocabulary_of(source))
        model = load_teacher(source, context=context)
    else:
        sliced = plan.start.initialise_from
        source = plan.start.pretrained if sliced is None else sliced.folder
        if source is None:
            raise InputError("taus includes 'substitution', which needs a pre-trained model")
        if sliced is not None and not sliced.network.description.has_decoder:
            raise InputError(
                f"taus includes 'substitution', and {source} has no masked-token decoder; name a "
                "model that has one with proposer"
            )
        if Path(source).is_dir():
            model = load_teacher(source, context=context)
        else:
            model = load_teacher(plan.start.architecture, checkpoint=source, context=context)
    if Path(source).is_dir():
        check_rows(source, model.vocabulary_size, vocabulary)
    return MaskedWords(model, vocabulary, plan.task.form, plan.timaeus.max_len)


def _announce(plan: AgoraPlan) -> None:
    task = plan.task
    log.info(
        "%s: %d training points, %d dev points, %d items in the report split",
        task.data.record.name,
        len(task.training) + len(plan.more_points),
        len(task.dev),
        len(task.report_items),
    )
    if not plan.is_report_kept_from_socrates:
        log.info(
            "Socrates may have been trained on the report split; fine-tune it with the "
            "--report_share (and --report_seed) of this run to leave the split out"
        )
    log.info("hyperparameter sets: %d", len(plan.sets))
    if plan.config.is_economical:
        log.info("economical mode (not in the paper)")
