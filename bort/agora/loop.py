"""The loop of Agora: train, make new points from dev examples, label them, prune Θ."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Set, Tuple

import numpy as np

from bort.agora.balance import balance
from bort.agora.config import AgoraConfig
from bort.agora.counting import OnProgress, TrainingCounter
from bort.agora.examples import Example, Point, TextOf, normalised_key
from bort.agora.generation import Generated, generate
from bort.agora.hyperparameters import HyperparameterSet, HyperparameterSets, check_sets
from bort.agora.label_classes import CLASS_IDS, LabelClasses
from bort.agora.pruning import most_left, prune, rank_sets
from bort.agora.reports import AgoraResult, IterationReport, Model, OnIteration
from bort.agora.socrates import SocratesCheck, SocratesLabeller, check_socrates, points_from
from bort.agora.splits import SealedReport
from bort.agora.tau import Tau
from bort.agora.trainings import TrainedTimaeus, Training, Trainings
from bort.errors import InputError, WorkError

_TAU_STREAM, _BALANCE_STREAM, _BOUND_STREAM = 0x746175, 0x62616C, 0x626F75


@dataclass(frozen=True)
class _Drawn:
    """New points that join the training set, with their sources."""

    points: List[Point] = field(default_factory=list)
    sources: List[int] = field(default_factory=list)
    generated: Generated = field(default_factory=Generated)


@dataclass(frozen=True)
class _Round:
    """The trainings of all sets on one training set."""

    points: Tuple[Point, ...]
    drawn: _Drawn
    ranking: HyperparameterSets
    best: Model
    predictions: Tuple[int, ...]


def run_agora(
    config: AgoraConfig,
    sets: Sequence[HyperparameterSet],
    training: Sequence[Point],
    dev: Sequence[Point],
    *,
    trainings: Trainings,
    socrates: SocratesLabeller,
    tau: Tau,
    report: Optional[SealedReport] = None,
    more_points: Sequence[Point] = (),
    text_of: Optional[TextOf] = None,
    classes: LabelClasses = CLASS_IDS,
    on_iteration: Optional[OnIteration] = None,
    on_progress: Optional[OnProgress] = None,
) -> Optional[AgoraResult]:
    """Fine-tune Timaeus with data that Socrates labels, until Θ is empty.

    Each iteration trains with every θ in Θ and takes the best model, makes new points from dev
    examples (by default all of them, in the paper the model's mistakes), lets Socrates label them,
    adds them to the training set, sorts Θ by dev score and prunes it. Θ shrinks every time (see
    `prune`), and an iteration is repeated at most `max_replays` times, so there are at most
    |Θ|(1 + max_replays)|Θ| trainings.

    The result depends only on the arguments, not on ranks, kills or the order in which trainings
    finish, as long as the trainer, Socrates and τ are deterministic.

    Source: arXiv 2010.07990, as described in arXiv 2010.10499, section 4. Differs from the paper:
    no points are made after the last iteration, because nothing would be trained on them;
    duplicates and examples of the report split are refused; Socrates is checked first.
    `AgoraConfig` names the choices that the paper leaves open.

    Args:
        config: settings of the loop; the caller builds τ from them (see `build_tau`).
        sets: Θ.
        training: gold training data.
        dev: gold dev data, in the order of the trainer's predictions.
        trainings: runs and stores trainings.
        socrates: the labeller; `CachedSocrates` makes sure that it labels each example once.
        tau: makes new examples.
        report: the sealed report split. No data may contain its examples, and its winner is fixed
            at the end.
        more_points: points that Socrates labelled in an earlier run.
        text_of: turns a segment of token ids into a string, to find duplicates.
        classes: the classes of the labels, by which mistakes are found and new points balanced.
        on_iteration: called after each iteration.
        on_progress: called when trainings have finished, with their count and its upper bound.

    Returns:
        The result; None when the trainings were stopped.

    Raises:
        InputError: Socrates is too weak, a data set is empty or has examples of the report split.
        WorkError: the predictions do not fit the dev set.
    """
    left = check_sets(sets)
    for name, points in (("training data", training), ("dev data", dev)):
        if not points:
            raise InputError(f"{name}: has no example")
    if report is not None:
        report.refuse_leaks(training, "training data")
        report.refuse_leaks(dev, "dev data")
        report.refuse_leaks(more_points, "points of an earlier run")
    answers = socrates.label([point.example for point in dev])
    check = check_socrates(answers, dev, classes, allow_weak=config.allow_weak_socrates)
    counter = None if on_progress is None else TrainingCounter(on_progress)
    loop = _Loop(config, dev, trainings, socrates, tau, report, text_of, classes, counter)
    gold = (*training, *more_points)
    reports: List[IterationReport] = []
    previous: Optional[_Round] = None
    while left:
        attempts = loop.attempts(len(reports) + 1, left, gold, previous)
        if attempts is None:
            return None
        number = _accepted(attempts, config.replay)
        previous = attempts[number]
        pruned = prune(
            previous.ranking,
            left,
            direction=config.direction,
            extent=config.extent,
            last_group=config.last_group,
        )
        reports.append(
            loop.report_of(len(reports) + 1, attempts, number, len(left), pruned.removed, check)
        )
        left = pruned.kept
        if on_iteration is not None:
            on_iteration(reports[-1])
    if counter is not None:
        counter.end()
    assert previous is not None
    best = loop.best_seen
    assert best is not None
    if report is not None:
        report.fix_winner(best.handle)
    return AgoraResult(
        best,
        previous.ranking[0],
        tuple(reports),
        previous.points,
        check,
        len(loop.costs),
        sum(loop.costs.values()),
    )


def halving_budgets(count: int, factor: int, rungs: int) -> List[float]:
    """Return the budgets of successive halving, as shares of a full training; the last is 1.

    Args:
        count: number of hyperparameter sets at the start.
        factor: one in `factor` sets is kept at each rung; 0 turns halving off.
        rungs: maximum number of short trainings before the full one.

    >>> halving_budgets(9, 3, 2), halving_budgets(8, 3, 2), halving_budgets(8, 0, 2)
    ([0.1111111111111111, 0.3333333333333333, 1.0], [0.3333333333333333, 1.0], [1.0])
    """
    if factor == 0:
        return [1.0]
    possible = 0
    while possible < rungs and factor ** (possible + 1) <= count:
        possible += 1
    return [float(factor) ** -(possible - rung) for rung in range(possible + 1)]


def mistakes(
    predictions: Sequence[int], dev: Sequence[Point], classes: LabelClasses = CLASS_IDS
) -> List[int]:
    """Return the numbers of the dev examples whose class is not the predicted one."""
    return [n for n, found in enumerate(predictions) if found != classes.of(dev[n].label)]


class _Loop:
    """The fixed inputs of a run, and the state that it keeps over iterations."""

    def __init__(
        self,
        config: AgoraConfig,
        dev: Sequence[Point],
        trainings: Trainings,
        socrates: SocratesLabeller,
        tau: Tau,
        report: Optional[SealedReport],
        text_of: Optional[TextOf],
        classes: LabelClasses,
        counter: Optional[TrainingCounter],
    ) -> None:
        self._config = config
        self._dev = dev
        self._trainings = trainings
        self._socrates = socrates
        self._tau = tau
        self._report = report
        self._text_of = text_of
        self._classes = classes
        self._counter = counter
        self._keys: Dict[Example, str] = {}
        self.best_seen: Optional[Model] = None
        self.costs: Dict[str, float] = {}

    def attempts(
        self,
        iteration: int,
        left: HyperparameterSets,
        gold: Tuple[Point, ...],
        previous: Optional[_Round],
    ) -> Optional[List[_Round]]:
        """Run an iteration with its repetitions; None when stopped."""
        replay = self._config.replay
        bound = 0 if replay == "none" else self._config.max_replays
        later = self._most_later(left, bound)
        again = bound if previous is not None or replay == "always" else 0
        done: List[_Round] = []
        while True:
            source = done[-1] if done and replay != "redraw" else previous
            if source is None:
                drawn, points = _Drawn(), gold
            else:
                drawn = self._draw(source, iteration, len(done))
                points = (*source.points, *drawn.points)
            start = source.best if source is not None and self._config.warm_start else None
            repeated = (again - len(done)) * sum(self._round_sizes(len(left)))
            trained = self._train(left, points, drawn, start, repeated + later)
            if trained is None:
                return None
            done.append(trained)
            fell = previous is not None and trained.best.dev_score < previous.best.dev_score
            if len(done) > bound or not (fell or replay == "always"):
                return done

    def report_of(
        self,
        iteration: int,
        attempts: Sequence[_Round],
        number: int,
        sets_left: int,
        removed: HyperparameterSets,
        check: SocratesCheck,
    ) -> IterationReport:
        """Return the report of an iteration."""
        accepted = attempts[number]
        joined = (
            [accepted.drawn] if self._config.replay == "redraw" else [a.drawn for a in attempts]
        )
        added = [pair for drawn in joined for pair in zip(drawn.points, drawn.sources)]
        kept = [
            self._classes.of(p.label) == self._classes.of(self._dev[source].label)
            for p, source in added
        ]
        refused: Counter[str] = Counter()
        for drawn in joined:
            refused.update(drawn.generated.refused)
        assert self.best_seen is not None
        return IterationReport(
            iteration=iteration,
            sets_left=sets_left,
            removed=removed,
            best=accepted.best,
            best_seen=self.best_seen,
            attempt_scores=tuple(a.best.dev_score for a in attempts),
            attempt=number,
            training_size=len(accepted.points),
            added=len(added),
            label_counts=dict(
                sorted(Counter(self._classes.of(p.label) for p in accepted.points).items())
            ),
            generated=sum(len(drawn.generated.examples) for drawn in joined),
            refused=dict(refused),
            socrates=check,
            labels_kept=sum(kept) / len(kept) if kept else None,
            trainings=len(self.costs),
            cost=sum(self.costs.values()),
            needed_handles=tuple(dict.fromkeys((self.best_seen.handle, accepted.best.handle))),
        )

    def _train(
        self,
        left: HyperparameterSets,
        points: Tuple[Point, ...],
        drawn: _Drawn,
        start: Optional[Model],
        later: int,
    ) -> Optional[_Round]:
        """Train every set; with halving, only the best sets are trained in full.

        At most `later` trainings follow in later rounds.
        """
        config = self._config
        scores: Dict[HyperparameterSet, Tuple[int, float]] = {}
        models: Dict[HyperparameterSet, Tuple[Training, TrainedTimaeus]] = {}
        running = left
        budgets = halving_budgets(len(left), config.halving, config.halving_rungs)
        for rung, budget in enumerate(budgets):
            origin = None if start is None else (start.key, start.handle)
            planned = Training.plan(running, points, budget, origin)
            if self._counter is not None:
                rungs = self._round_sizes(len(left))[rung + 1 :]
                self._counter.begin([training.key for training in planned], sum(rungs) + later)
            found = self._trainings.run(planned, self._counter.update if self._counter else None)
            if found is None:
                return None
            for training, trained in zip(planned, found):
                self._check(training, trained)
                self.costs[training.key] = budget
                scores[training.theta] = (rung, trained.dev_score)
                models[training.theta] = (training, trained)
            if rung + 1 < len(budgets):
                staying = rank_sets(scores, running)[: math.ceil(len(running) / config.halving)]
                running = tuple(theta for theta in running if theta in set(staying))
        ranking = rank_sets(scores, left)
        training, trained = models[ranking[0]]
        best = Model(ranking[0], training.key, trained.handle, trained.dev_score)
        if self.best_seen is None or best.dev_score > self.best_seen.dev_score:
            self.best_seen = best
        predictions = tuple(map(self._classes.of, trained.dev_predictions))
        return _Round(points, drawn, ranking, best, predictions)

    def _round_sizes(self, count: int) -> List[int]:
        """Return the numbers of trainings of `count` sets on each rung of halving."""
        config = self._config
        sizes = [count]
        for _ in halving_budgets(count, config.halving, config.halving_rungs)[1:]:
            sizes.append(math.ceil(sizes[-1] / config.halving))
        return sizes

    def _most_later(self, left: HyperparameterSets, repetitions: int) -> int:
        """Return the largest number of trainings in all iterations after that of `left`."""
        config = self._config
        counts = most_left(left, extent=config.extent, last_group=config.last_group)
        return (1 + repetitions) * sum(sum(self._round_sizes(count)) for count in counts)

    def _draw(self, source: _Round, iteration: int, attempt: int) -> _Drawn:
        """Make new points from dev examples and label them; see `AgoraConfig.sources`."""
        config = self._config
        numbers = mistakes(source.predictions, self._dev, self._classes)
        if config.sources == "dev":
            numbers = list(range(len(self._dev)))

        def generator_of(stream: int, number: int = 0) -> np.random.Generator:
            return np.random.default_rng([config.seed, stream, iteration, attempt, number])

        generated = generate(
            [self._dev[number].example for number in numbers],
            self._tau,
            known=self._known(source.points),
            generator_of=lambda place: generator_of(_TAU_STREAM, numbers[place]),
            band=config.band,
            per_source=config.points_per_source,
            attempts=config.attempts,
            is_reserved=self._is_reserved,
            text_of=self._text_of,
        )
        examples, sources = generated.examples, [numbers[place] for place in generated.sources]
        if config.max_new_points:
            order = generator_of(_BOUND_STREAM).permutation(len(examples))
            chosen = sorted(int(place) for place in order[: config.max_new_points])
            examples, sources = [examples[n] for n in chosen], [sources[n] for n in chosen]
        if not examples:
            return _Drawn(generated=generated)
        answers = self._socrates.label(examples)
        sure = [
            number
            for number, answer in enumerate(answers)
            if answer.confidence is None or answer.confidence >= config.minimum_confidence
        ]
        labelled = points_from(examples, answers, config.labels)
        points, sources = [labelled[n] for n in sure], [sources[n] for n in sure]
        joining = balance(
            points, source.points, config.balance, generator_of(_BALANCE_STREAM), self._classes
        )
        points, sources = [points[n] for n in joining], [sources[n] for n in joining]
        if self._report is not None:
            self._report.refuse_leaks(points, "points labelled by Socrates")
        return _Drawn(points, sources, generated)

    def _known(self, points: Sequence[Point]) -> Set[str]:
        """Return the keys of all examples that a new example must differ from."""
        known = set()
        for point in (*points, *self._dev):
            if point.example not in self._keys:
                self._keys[point.example] = normalised_key(point.example, self._text_of)
            known.add(self._keys[point.example])
        return known

    def _is_reserved(self, example: Example) -> bool:
        return self._report is not None and self._report.holds(example)

    def _check(self, training: Training, trained: TrainedTimaeus) -> None:
        if len(trained.dev_predictions) != len(self._dev):
            raise WorkError(
                f"the training with {training.theta} predicted {len(trained.dev_predictions)} of "
                f"{len(self._dev)} dev examples"
            )


def _accepted(attempts: Sequence[_Round], replay: str) -> int:
    """Return the attempt that counts: the best of redrawn ones, else the last, with all points."""
    if replay != "redraw":
        return len(attempts) - 1
    scores = [attempt.best.dev_score for attempt in attempts]
    return scores.index(max(scores))
