"""Dynamic masking: the masked tokens of an example are drawn anew in every epoch.

Source: arXiv 1810.04805, section 3.1 (15 %, 80/10/10), arXiv 1907.11692, section 4.1 (dynamic).
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Tuple

import numpy as np

from bort.errors import InputError
from bort.text.vocabulary import Vocabulary

EVALUATION_EPOCH = -1
"""The epoch number of the masks for evaluation, which never change."""

_MASK_STREAM = 0x6D61736B
_WORD = 1 << 64


@dataclass(frozen=True)
class MaskingPolicy:
    """Rules of masking: how many tokens to predict, and how to replace them.

    Attributes:
        probability: share of the maskable tokens to predict, in [0, 1]; 0 masks nothing.
        maximum_predictions: maximum number of predictions per sequence.
        whole_words: whether to mask all tokens of a word or none.
        mask_share: share of the predicted tokens that `<mask>` replaces.
        random_share: share that a random ordinary token replaces; the rest is unchanged.
    """

    probability: float = 0.15
    maximum_predictions: int = 80
    whole_words: bool = False
    mask_share: float = 0.8
    random_share: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise InputError(f"masking probability is {self.probability}, allowed is [0, 1]")
        if self.maximum_predictions < 1:
            raise InputError(
                f"maximum predictions is {self.maximum_predictions}, allowed is at least 1"
            )

    def prediction_count(self, maskable: int) -> int:
        """Return the number of tokens to predict out of `maskable`.

        It is the rounded share, at least 1 and at most `maximum_predictions`; 0 for no token and
        for probability 0.
        """
        if maskable == 0 or self.probability == 0:
            return 0
        return min(maskable, self.maximum_predictions, max(1, round(maskable * self.probability)))


class Masking:
    """A masking whose masks are a pure function of (seed, epoch, example id, token ids).

    The random numbers come from Philox with the example id and the epoch as its counter, so a mask
    depends neither on the order of calls nor on the number of processes.

    Args:
        vocabulary: vocabulary of the ids.
        policy: rules of masking.
        seed: seed of all masks.

    Raises:
        InputError: the vocabulary has only special tokens.
    """

    def __init__(self, vocabulary: Vocabulary, policy: MaskingPolicy, seed: int) -> None:
        size = len(vocabulary)
        special = np.zeros(size, dtype=bool)
        special[list(vocabulary.special_ids)] = True
        self.policy = policy
        self.seed = seed
        self.pad_id = vocabulary.pad_id
        self._maskable = ~special
        self._maskable[vocabulary.unk_id] = True
        self._replacements = np.flatnonzero(~special).astype(np.int32)
        self._mask_id = vocabulary.mask_id
        self._starts_word = np.asarray(vocabulary.starts_word, dtype=bool)
        if self._replacements.size == 0:
            raise InputError("masking: the vocabulary has only special tokens")

    def apply(
        self, ids: np.ndarray, epoch: int, example_id: int
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mask one example.

        Args:
            ids: integer (L,), the complete example `<s> … </s>`; it is not changed.
            epoch: number of the epoch, at least 0, or `EVALUATION_EPOCH`.
            example_id: index of the example, at least 0.

        Returns:
            Ids after masking, int32 (L,); masked positions in ascending order, int32 (P,); original
            ids at these positions, int32 (P,). P is at most `policy.maximum_predictions`.
        """
        generator = _generator(self.seed, epoch, example_id)
        masked = np.array(ids, dtype=np.int32)
        candidates = np.flatnonzero(self._maskable[masked])
        count = self.policy.prediction_count(len(candidates))
        draws = generator.random(len(candidates))
        if self.policy.whole_words:
            chosen = self._choose_words(masked, candidates, draws, count)
        else:
            chosen = np.argsort(draws, kind="stable")[:count]
        positions = np.sort(candidates[chosen])
        labels = masked[positions]
        kind = generator.random(len(positions))
        replacements = self._replacements[
            generator.integers(0, len(self._replacements), size=len(positions))
        ]
        policy = self.policy
        masked[positions[kind < policy.mask_share]] = self._mask_id
        swapped = (kind >= policy.mask_share) & (kind < policy.mask_share + policy.random_share)
        masked[positions[swapped]] = replacements[swapped]
        return masked, positions.astype(np.int32), labels

    def for_evaluation(self) -> Masking:
        """Return this masking, or one of the default share if it masks nothing.

        Held-out text needs masked tokens to have a masked-token loss.
        """
        if self.policy.probability > 0:
            return self
        other = copy.copy(self)
        other.policy = dataclasses.replace(self.policy, probability=MaskingPolicy.probability)
        return other

    def _choose_words(
        self, ids: np.ndarray, candidates: np.ndarray, draws: np.ndarray, count: int
    ) -> np.ndarray:
        """Return indices into `candidates` of randomly chosen whole words, at most `count` tokens.

        A word that does not fit is skipped; if no word fits, the shortest one is cut.
        """
        if count == 0:
            return np.zeros(0, dtype=np.int64)
        begins = self._starts_word[ids[candidates]].copy()
        begins[0] = True
        begins[1:] |= np.diff(candidates) != 1
        starts = np.flatnonzero(begins)
        sizes = np.diff(np.append(starts, len(candidates)))
        order = np.argsort(draws[starts], kind="stable")
        chosen, left = [], count
        for word in order:
            if sizes[word] <= left:
                chosen.append(np.arange(starts[word], starts[word] + sizes[word]))
                left -= int(sizes[word])
                if left == 0:
                    break
        if not chosen:
            shortest = int(np.argmin(sizes))
            chosen.append(np.arange(starts[shortest], starts[shortest] + count))
        return np.concatenate(chosen)


def _generator(seed: int, epoch: int, example_id: int) -> np.random.Generator:
    # Explicit uint64, because NumPy converts a list with a number of 2^63 or more to float.
    key = np.array([seed % _WORD, _MASK_STREAM], dtype=np.uint64)
    counter = np.array([0, 0, example_id % _WORD, epoch % _WORD], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
