"""The settings of masks, which pre-training, teacher caches and the search share."""

from __future__ import annotations

import dataclasses

from bort.settings.config import Config, setting
from bort.text.masking import MaskingPolicy


@dataclasses.dataclass(frozen=True)
class TokenMasks(Config):
    """How many tokens are hidden, each by itself."""

    mask_probability: float = setting(
        0.15, "share of the tokens that is predicted", above=0.0, maximum=1.0
    )
    max_predictions: int = setting(80, "most predictions a sequence", minimum=1)

    @property
    def policy(self) -> MaskingPolicy:
        """The masking that the settings describe."""
        return MaskingPolicy(
            probability=self.mask_probability, maximum_predictions=self.max_predictions
        )


@dataclasses.dataclass(frozen=True)
class Masks(TokenMasks):
    """How many tokens are hidden, each by itself or by whole words."""

    whole_word_mask: bool = setting(False, "hide whole words")

    @property
    def policy(self) -> MaskingPolicy:
        """The masking that the settings describe."""
        return dataclasses.replace(super().policy, whole_words=self.whole_word_mask)
