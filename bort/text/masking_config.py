"""Settings of masking, shared by pre-training, teacher caches and the search."""

from __future__ import annotations

import dataclasses

from bort.settings.config import Config, setting
from bort.text.masking import MaskingPolicy


@dataclasses.dataclass(frozen=True)
class TokenMasks(Config):
    """Settings of masking single tokens."""

    mask_probability: float = setting(
        0.15, "share of the tokens to predict", above=0.0, maximum=1.0
    )
    max_predictions: int = setting(
        80, "maximum number of predictions per sequence", minimum=1, maximum=1 << 15
    )

    @property
    def policy(self) -> MaskingPolicy:
        """The masking policy of these settings."""
        return MaskingPolicy(
            probability=self.mask_probability, maximum_predictions=self.max_predictions
        )


@dataclasses.dataclass(frozen=True)
class Masks(TokenMasks):
    """Settings of masking single tokens or whole words."""

    whole_word_mask: bool = setting(False, "mask whole words")

    @property
    def policy(self) -> MaskingPolicy:
        """The masking policy of these settings."""
        return dataclasses.replace(super().policy, whole_words=self.whole_word_mask)


@dataclasses.dataclass(frozen=True)
class TrainingMasks(Masks):
    """Settings of masking for a training, which may also learn from text without masks."""

    mask_probability: float = setting(
        0.15,
        "share of the tokens to predict; 0 masks none, which only losses on features allow",
        minimum=0.0,
        maximum=1.0,
    )
