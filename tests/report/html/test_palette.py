"""Tests of the colours of reports: text and lines stand out on both screens."""

from __future__ import annotations

from typing import Mapping

import pytest

from bort.report.html.palette import DARK, LIGHT, style_rules


def contrast(one: str, other: str) -> float:
    """The contrast of WCAG 2.1, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


def test_the_contrast_of_known_colours() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_text_has_the_contrast_of_wcag_aa(colours: Mapping[str, str]) -> None:
    for ground in ("paper", "wash"):
        for text in ("ink", "muted", "link"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for name, colour in colours.items():
        if name.startswith("series"):
            assert contrast(colour, colours["paper"]) >= 4.5, name


def test_both_screens_have_the_same_names() -> None:
    assert list(LIGHT) == list(DARK)
    assert len(set(LIGHT.values())) == len(LIGHT)
    assert style_rules().count("--series-1:") == 2
