"""The methods of `search_methods`: each chooses an architecture and starts its training."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from benchmarks.search_ground import Costs, Ground
from benchmarks.stored import VALUE_FILE
from bort.architecture import Architecture, get_architecture
from bort.errors import InputError
from bort.search.evolved_search import EvolvedSearch
from bort.search.limit import Limit
from bort.search.limited_strategy import (
    FastSearch,
    LimitedRandom,
    LimitedScheme,
    PriorSearch,
    notes_of,
)
from bort.search.strategy import SearchStrategy
from bort.settings.config import Config, setting
from bort.stages.stage import Stage, StageWork
from bort.storage.files import read_json
from bort.super_network.parts import part_name

if TYPE_CHECKING:
    from bort.network.array_network import ArrayNetwork

RANDOM = "random"
"""The method that all others are tested against."""

ONE_SHOT = ("one_shot_random", "one_shot_fast", "one_shot_evolved")
WITHOUT_SEARCH = ("prior", "hand_made", "random_pick")
METHODS = (*ONE_SHOT, "scheme", RANDOM, *WITHOUT_SEARCH)

_READ: Mapping[str, Sequence[str]] = {
    "one_shot_random": ("scored",),
    "one_shot_fast": ("scored",),
    "one_shot_evolved": ("scored", "generations"),
    "scheme": ("epsilon",),
    RANDOM: ("searching_share", "trainings"),
}
"""Settings that a method reads, beside the seconds. The super-network reads `searching_share`."""

_SUPER_NETWORK = "super_network"

_LISTED = 20  # candidates of a method without search: the first one that keeps the limit counts


@dataclasses.dataclass(frozen=True)
class MethodsConfig(Config):
    """The seconds of each method, and how a method divides them."""

    seconds: float = setting(
        120.0, "processor seconds of a method: its search and the training of its pick", above=0.0
    )
    speed_ups: Tuple[float, ...] = setting(
        (2.0, 4.0), "limits of the latency, as speed-ups against the teacher", above=1.0
    )
    searching_share: float = setting(
        0.5,
        "share of the seconds for the super-network, or for the trainings of random search",
        above=0.0,
        maximum=0.8,
    )
    scored: int = setting(30, "sub-networks that a one-shot search scores", minimum=2)
    generations: int = setting(3, "generations of one_shot_evolved", minimum=1)
    trainings: int = setting(6, "candidates that random search trains", minimum=2)
    epsilon: int = setting(6, "epsilon of the scheme (the paper's)", minimum=1)


class NoCandidateError(InputError):
    """A method has no candidate in the band of a limit."""


@dataclasses.dataclass
class Found:
    """What a search found.

    Attributes:
        candidates: the architectures that were looked at, the best first.
        errors: their errors, as the search measured them; empty without.
        start: returns the weights that the training of a pick starts from.
        seconds: processor seconds that the search took in other processes or units.
        notes: what the strategy has to say.
    """

    candidates: List[Architecture]
    errors: Dict[Architecture, float]
    start: Callable[[Architecture], ArrayNetwork]
    seconds: float = 0.0
    notes: Sequence[str] = ()


class Methods:
    """All methods on one ground, as stages of one store.

    Args:
        config: the seconds and their division.
        ground: teacher and data.
        costs: latencies and rates of the ground.
    """

    def __init__(self, config: MethodsConfig, ground: Ground, costs: Costs) -> None:
        self.config, self.ground, self.costs = config, ground, costs
        self.stored = costs.stored

    def super_network_stage(self, seed: int) -> Stage:
        """Return the stage of the super-network of a seed; its value has `steps` and `seconds`."""
        seconds = self.config.seconds * self.config.searching_share
        return self.costs.timed_basis(seed).stage(
            f"super-network-{seed}",
            lambda work: self._train_super_network(work, seed, seconds),
            {"seconds": seconds},
        )

    def stage(self, method: str, speed_up: float, seed: int) -> Stage:
        """Return the stage of a method's search, and of the training of its pick.

        The value of a method without any candidate in the band has `refused` alone, the reason.
        """

        def make(work: StageWork) -> Dict[str, Any]:
            try:
                return self._run(method, speed_up, seed)
            except NoCandidateError as error:
                return {"refused": str(error)}

        inputs = {"latencies": self.costs.sample_stage}
        if method in ONE_SHOT:
            inputs[_SUPER_NETWORK] = self.super_network_stage(seed)
        return self.costs.timed_basis(seed).stage(
            f"{method}-{speed_up:g}-{seed}",
            make,
            {"speed_up": speed_up, **self.config.as_settings("seconds", *_READ.get(method, ()))},
            inputs=inputs,
        )

    def run(self, method: str, speed_up: float, seed: int) -> Mapping[str, Any]:
        """Search and train with one method unless its result exists; see `stage`."""
        return self.stored.value(self.stage(method, speed_up, seed))

    def proxies_stage(self, speed_up: float, seed: int) -> Stage:
        """Return the stage of what could order the candidates of random search.

        Its value has `trained`, the errors after equal seconds of training alone; and by name of
        the proxy the numbers that should order them alike, lower for better, all in the same order.
        """
        return self.ground.basis(seed).stage(
            f"proxies-{speed_up:g}-{seed}",
            lambda work: self._proxies(work, seed),
            inputs={
                "latencies": self.costs.sample_stage,
                _SUPER_NETWORK: self.super_network_stage(seed),
                RANDOM: self.stage(RANDOM, speed_up, seed),
            },
        )

    def _proxies(self, work: StageWork, seed: int) -> Dict[str, Any]:
        trained = read_json(work.inputs[RANDOM] / VALUE_FILE)["errors"]
        grid, predicted = self.costs.grid, self.costs.predicted()
        ones = [get_architecture(name, like=self.ground.whole) for name in trained]
        rows = np.array([grid.index_of(one) for one in ones])
        slices = self._slices(seed)
        return {
            "trained": list(trained.values()),
            "parameters": (-grid.parameter_counts(rows)).tolist(),
            "parameters of layers": (-grid.layer_parameter_counts(rows)).tolist(),
            "multiply-adds": (-grid.multiply_adds(self.ground.length, rows)).tolist(),
            "latency": (-predicted[rows]).tolist(),
            "error after 3 steps": [self.ground.few_step_error(one, seed) for one in ones],
            "sub-network": [self.ground.search_error(slices(one), seed) for one in ones],
        }

    # --- one method

    def _run(self, method: str, speed_up: float, seed: int) -> Dict[str, Any]:
        limit = self.costs.limit(speed_up)
        predicted = self.costs.predicted()
        allowed = limit.candidates(predicted)
        ordering = self.costs.ordering_seconds(seed)
        # What every method reads is opened before the seconds count.
        opened = list(self.ground.basis(seed).inputs.values())
        if method in ONE_SHOT:
            opened.append(self.super_network_stage(seed))
        for stage in opened:
            self.stored.result(stage)
        began, uncounted = time.process_time(), self.costs.seconds
        found = self._find(method, allowed, limit, predicted, seed)
        searching = time.process_time() - began - (self.costs.seconds - uncounted)
        searching += ordering + found.seconds
        pick, holds = self._choose(found.candidates, limit)
        rate = self.costs.training_rate(pick)
        steps = rate.steps_in(self.config.seconds - searching)
        began = time.process_time()
        network = self.ground.train(found.start(pick), seed, steps, lambda: None)
        training = time.process_time() - began
        row = self.costs.grid.index_of(pick)
        assert row is not None, "a pick is in the grid"
        return {
            "method": method,
            "speed_up": speed_up,
            "seed": seed,
            "architecture": part_name(pick),
            "parameters": pick.parameter_count(),
            "limit_seconds": limit.most,
            "predicted_seconds": float(predicted[row]),
            "measured_seconds": self.costs.latency(pick),
            "holds_limit": holds,
            "candidates_in_band": len(allowed),
            "searching_seconds": searching,
            "training_seconds": training,
            "training_steps": steps,
            "notes": list(found.notes),
            "errors": {part_name(one): error for one, error in found.errors.items()},
            **self.ground.report(network, seed),
        }

    def _choose(
        self, candidates: Sequence[Architecture], limit: Limit
    ) -> Tuple[Architecture, bool]:
        """Return the first candidate that keeps the limit when it is measured, else the fastest."""
        for one in candidates:
            if limit.holds(self.costs.latency(one)):
                return one, True
        return min(candidates, key=self.costs.latency), False

    def _find(
        self, method: str, allowed: np.ndarray, limit: Limit, predicted: np.ndarray, seed: int
    ) -> Found:
        grid, config = self.costs.grid, self.config
        generator = np.random.default_rng(seed)
        if method in ONE_SHOT:
            strategy: SearchStrategy
            if method == "one_shot_evolved":
                strategy = EvolvedSearch(
                    grid,
                    allowed,
                    generator,
                    generations=config.generations,
                    generation_size=max(1, config.scored // config.generations),
                )
            else:
                kind = FastSearch if method == "one_shot_fast" else LimitedRandom
                try:
                    strategy = kind(grid, allowed, config.scored, generator)
                except InputError as error:
                    raise NoCandidateError(str(error)) from error
            return self._one_shot(strategy, seed)
        if method == "scheme":
            scheme = LimitedScheme(grid, allowed, config.epsilon)
            return self._evaluated(
                scheme,
                lambda one: self.ground.few_step_error(one, seed),
                lambda one: self.ground.start(one, seed),
            )
        if method == RANDOM:
            return self._random(LimitedRandom(grid, allowed, config.trainings, generator), seed)
        if method == "hand_made":
            candidates = grid.architectures(self._hand_made(predicted, limit))
        elif method == "prior":
            candidates = list(PriorSearch(grid, allowed, _LISTED).ask())
        else:
            candidates = grid.architectures(generator.permutation(allowed)[:_LISTED])
        return Found(candidates, {}, lambda one: self.ground.start(one, seed))

    def _one_shot(self, strategy: SearchStrategy, seed: int) -> Found:
        """Search with the errors of the super-network's slices, which picks start from."""
        slices = self._slices(seed)
        found = self._evaluated(
            strategy, lambda one: self.ground.search_error(slices(one), seed), slices
        )
        found.seconds = float(self.stored.value(self.super_network_stage(seed))["seconds"])
        return found

    def _slices(self, seed: int) -> Callable[[Architecture], ArrayNetwork]:
        """Return a function that takes an architecture out of the super-network of a seed."""
        from bort.network.sub_network import extracted
        from bort.super_network.folder import open_super_network

        folder = self.stored.result(self.super_network_stage(seed)).folder
        source = open_super_network(folder / _SUPER_NETWORK)
        whole = source.read_network()
        return lambda one: extracted(whole, source.part(one))

    def _random(self, strategy: SearchStrategy, seed: int) -> Found:
        """Search with short trainings; the training of the pick goes on from its own."""
        config = self.config
        each = config.seconds * config.searching_share / max(1, strategy.budget)
        trained: Dict[Architecture, ArrayNetwork] = {}

        def error(one: Architecture) -> float:
            steps = self.costs.training_rate(one).steps_in(each)
            start = self.ground.start(one, seed)
            trained[one] = self.ground.train(start, seed, steps, lambda: None)
            return self.ground.search_error(trained[one], seed)

        return self._evaluated(strategy, error, trained.__getitem__)

    def _evaluated(
        self,
        strategy: SearchStrategy,
        error: Callable[[Architecture], float],
        start: Callable[[Architecture], ArrayNetwork],
    ) -> Found:
        errors: Dict[Architecture, float] = {}
        asked = strategy.ask()
        while asked:
            rows = [Evaluated(one, error(one)) for one in asked]
            errors.update((row.architecture, row.error) for row in rows)
            strategy.tell(rows)  # type: ignore[arg-type]
            asked = strategy.ask()
        best_first = sorted(errors, key=lambda one: (errors[one], one))
        return Found(best_first, errors, start, notes=notes_of(strategy))

    def _hand_made(self, predicted: np.ndarray, limit: Limit) -> np.ndarray:
        """Return the rows with the proportions of MiniLM, largest first, up to the limit.

        MiniLM 6 × 384 has half of the layers of BERT-base and I = 4 H, as BERT-base has, and heads
        of the same width. Here: half of the teacher's layers, its I / H, and whole heads for H.
        """
        whole, grid = self.ground.whole, self.costs.grid
        sizes = grid.sizes.astype(np.int64)
        depth, heads, hidden, intermediate = sizes[:, 0], sizes[:, 1], sizes[:, 2], sizes[:, 3]
        fits = depth == max(1, whole.depth // 2)
        fits &= intermediate * whole.hidden == whole.intermediate * hidden
        fits &= heads == np.maximum(1, np.rint(hidden / whole.head_width))
        rows = np.flatnonzero(fits & (predicted <= limit.reach))
        if not len(rows):
            raise NoCandidateError("hand_made: no shape with half of the layers keeps the limit")
        return rows[np.argsort(-predicted[rows], kind="stable")]

    # --- the super-network

    def _train_super_network(self, work: StageWork, seed: int, seconds: float) -> Dict[str, Any]:
        from bort.super_network.folder import SuperNetworkRecord, write_super_network

        steps = self.costs.super_network_rate().steps_in(seconds)
        self.costs.ordering_seconds(seed)  # not counted here: every method has it
        order = tuple(int(layer) for layer in self.ground.ordered(seed).layer_order)
        began = time.process_time()
        network = self.ground.train_super_network(seed, steps, _nothing)
        spent = time.process_time() - began
        vocabulary = self.ground.vocabulary
        described = network.replace(network.arrays, vocabulary_fingerprint=vocabulary.fingerprint)
        record = SuperNetworkRecord(self.ground.space, order, steps)
        write_super_network(work.folder / _SUPER_NETWORK, record, described, vocabulary)
        return {"steps": steps, "seconds": spent}


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """An architecture and its error, for `SearchStrategy.tell`."""

    architecture: Architecture
    error: float


def _nothing() -> None:
    pass
