"""The training and held-out batches of a search, the same for every candidate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

from bort.errors import InputError
from bort.process.progress import RowProgress
from bort.ranks import Communicator, on_rank_0
from bort.search.config import SearchConfig
from bort.teacher.answers import LiveTeacher
from bort.teacher.cache import CACHE_FORMAT, CacheKey, TeacherCache, key_fields
from bort.teacher.filling import ROWS_PER_PART, FillHooks, fill_cache
from bort.text.batch_plan import BatchPlan, in_batches
from bort.text.batches import make_batch
from bort.text.examples import ExampleSource, MaskedBatch
from bort.text.masking import EVALUATION_EPOCH, Masking
from bort.text.padding import rounded_up
from bort.text.vocabulary import Vocabulary

_LEAST_PARTS = 16  # enough for a few ranks to share even a small cache evenly


@dataclass(frozen=True)
class SearchText:
    """The text of a search.

    Attributes:
        train: examples that candidates are trained on.
        held_out: examples that their error is measured on.
        vocabulary: the vocabulary of both.
    """

    train: ExampleSource
    held_out: ExampleSource
    vocabulary: Vocabulary

    @property
    def longest(self) -> int:
        """The length in tokens that rows are padded to: the longest example, rounded up to 8."""
        longest = max(int(np.max(source.lengths)) for source in (self.train, self.held_out))
        return rounded_up(longest)


class SearchQuestions:
    """The s training batches and the held-out batches of a search, with T's answers to them.

    The training batches are those of the first s steps of a pre-training run on one rank with the
    same seed and batch size. The held-out examples are spread evenly over the held-out text.

    Args:
        config: seed, steps, batch size and masking.
        text: the source of the examples.

    Raises:
        InputError: there are fewer examples than one batch needs.
    """

    def __init__(self, config: SearchConfig, text: SearchText) -> None:
        self._config = config
        self._text = text
        self.length = text.longest
        self._masking = Masking(text.vocabulary, config.masks.policy, config.seed)
        plan = BatchPlan(
            text.train.lengths,
            seed=config.seed,
            batch_size=config.batch_size,
            maximum_length=self.length,
        )
        self._steps = [plan.step(number) for number in range(config.train_steps)]
        self._held_out = self._held_out_ids()

    def train_batches(self) -> List[MaskedBatch]:
        """Return the training batches, one per step."""
        return [self._batch(step.epoch, step.part(0, 1)) for step in self._steps]

    def held_out_batches(self) -> List[MaskedBatch]:
        """Return the batches that errors are measured on."""
        return [self._batch(EVALUATION_EPOCH, ids) for ids in self._held_out]

    def cache_fields(self) -> Dict[str, Any]:
        """Return the fields of a cache key that depend neither on the teacher nor on the steps.

        A shorter search can use a cache that was filled for more steps.
        """
        config, text = self._config, self._text
        temperatures = {1.0, config.objective.distillation_temperature} if config.top_k else set()
        return {
            **key_fields(self._masking, text.train, text.vocabulary, self.length),
            "held_out": text.held_out.fingerprint,
            "top_k": config.top_k,
            "temperatures": tuple(sorted(temperatures)),
            "dtype": config.cache_dtype,
        }

    def is_complete(self, folder: Path) -> bool:
        """Return whether `folder` holds T's answers for all batches.

        Raises:
            InputError: it holds answers for other examples.
        """
        if not CACHE_FORMAT.is_in(folder):
            return False
        if not self.open(folder)[0].covers(self._rows()):
            raise InputError(f"{folder}: holds answers for other examples; choose another folder")
        return True

    def fill(
        self,
        folder: Path,
        teacher: LiveTeacher,
        communicator: Communicator,
        stop_requested: Callable[[], bool],
    ) -> bool:
        """Compute T's answers that are not in `folder` yet; see `fill_cache`.

        Args:
            folder: the folder of the cache.
            teacher: T.
            communicator: the ranks that share the work.
            stop_requested: whether to stop; called regularly.

        Returns:
            Whether the cache is complete; False after a stop.

        Raises:
            InputError: the examples are longer than T takes, or the cache is another teacher's.
        """
        longest = teacher.architecture.maximum_length
        if self.length > longest:
            raise InputError(
                f"the examples are up to {self.length} tokens long, the teacher takes at most "
                f"{longest} (see --max_seq_length of the data)"
            )
        if on_rank_0(communicator, lambda: self.is_complete(folder)):
            answered_by = self.open(folder)[0].key.teacher
            if answered_by != teacher.fingerprint:
                raise InputError(
                    f"{folder}: teacher is {answered_by[:12]}, this search uses "
                    f"{teacher.fingerprint[:12]} (a cache holds the answers of one teacher)"
                )
            return True
        rows, size = self._rows(), self._config.batch_size
        key = CacheKey.of(
            teacher,
            mask_epochs=1 + max(step.epoch for step in self._steps),
            **self.cache_fields(),
        )
        progress = RowProgress("teacher's answers", communicator.rank == 0)
        complete = fill_cache(
            folder,
            key,
            rows,
            self._batch,
            teacher,
            batch_size=size,
            rows_per_part=size * max(1, min(ROWS_PER_PART, len(rows) // _LEAST_PARTS) // size),
            communicator=communicator,
            hooks=FillHooks(stop_requested=stop_requested, on_rows=progress.show),
        )
        progress.close()
        return complete

    def open(self, folder: Path) -> Tuple[TeacherCache, TeacherCache]:
        """Open T's answers for training (at the objective's temperature) and for errors (at 1).

        Raises:
            InputError: the cache does not belong to this search, or is damaged.
        """
        expected = self.cache_fields()
        objective = TeacherCache.open(
            folder, expected=expected, temperature=self._config.objective.distillation_temperature
        )
        return objective, TeacherCache.open(folder, expected=expected, temperature=1.0)

    def _batch(self, epoch: int, example_ids: np.ndarray) -> MaskedBatch:
        source = self._text.held_out if epoch == EVALUATION_EPOCH else self._text.train
        return make_batch(source, example_ids, epoch, self.length, self._masking)

    def _rows(self) -> np.ndarray:
        """Return (epoch, example) of every row, ascending: int64 (n, 2)."""
        rows = {(step.epoch, int(i)) for step in self._steps for i in step.example_ids}
        rows |= {(EVALUATION_EPOCH, int(i)) for ids in self._held_out for i in ids if i >= 0}
        return np.array(sorted(rows), dtype=np.int64)

    def _held_out_ids(self) -> List[np.ndarray]:
        size = self._config.batch_size
        count = min(len(self._text.held_out), size * self._config.held_out_batches)
        if count == 0:
            raise InputError("the held-out data holds no example")
        chosen = np.unique(np.linspace(0, len(self._text.held_out) - 1, count).astype(np.int64))
        return in_batches(chosen, size)
