"""A stage sees the settings that it lists, and no others."""

import dataclasses

import pytest

from bort.stages.visible import seen_by


@dataclasses.dataclass(frozen=True)
class Settings:
    """Two settings."""

    steps: int = 3
    seed: int = 0


def test_a_listed_setting_is_seen():
    assert seen_by("train", Settings(), ("steps",)).steps == 3


@pytest.mark.parametrize(
    "use", [lambda value: value + 1, str, bool, lambda value: value == 0, int, hash, list, repr]
)
def test_the_use_of_another_setting_fails(use):
    seen = seen_by("train", Settings(), ("steps",))
    with pytest.raises(AssertionError, match="stage train does not list the setting seed"):
        use(seen.seed)


def test_the_configuration_itself_stays():
    config = Settings()
    seen_by("train", config, ())
    assert config == Settings()
