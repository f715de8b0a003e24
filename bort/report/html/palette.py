"""The colours of reports, for light and for dark screens."""

from __future__ import annotations

from typing import Mapping

LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "ink": "#1b1f24",
    "muted": "#59626d",
    "rule": "#d8dde3",
    "wash": "#f3f6f9",
    "link": "#1a62a0",
    "series-1": "#1a6db0",
    "series-2": "#c2481f",
    "series-3": "#3d7f45",
    "series-4": "#8c4a86",
    "series-5": "#8a6a12",
    "series-6": "#6b7480",
}
DARK: Mapping[str, str] = {
    "paper": "#14181d",
    "ink": "#e7eaee",
    "muted": "#a2abb6",
    "rule": "#343c46",
    "wash": "#1d232a",
    "link": "#7cb9ef",
    "series-1": "#62b0f0",
    "series-2": "#ff9469",
    "series-3": "#7fc78a",
    "series-4": "#d59bd0",
    "series-5": "#d9ba5c",
    "series-6": "#98a2ae",
}
PAPER, INK, MUTED, RULE, WASH = (LIGHT[name] for name in ("paper", "ink", "muted", "rule", "wash"))
SERIES = tuple(LIGHT[f"series-{number}"] for number in range(1, 7))
"""Colours of drawings. A drawing has the light colours; in HTML they follow the reader's screen."""


def style_rules() -> str:
    """Return the colours as variables of CSS, with the dark ones for screens that ask for them."""
    light, dark = _variables(LIGHT), _variables(DARK)
    return (
        f":root{{color-scheme:light dark;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    )


def _variables(colours: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())
