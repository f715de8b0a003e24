"""A report with every kind of part, and HTML taken apart."""

from __future__ import annotations

import functools
from html.parser import HTMLParser
from typing import Dict, List, Optional, Tuple

from bort.report.html.charts import Axes, Series, draw_chart
from bort.report.html.document import (
    Bullets,
    Code,
    Document,
    Figure,
    Highlight,
    Number,
    ReportedStage,
    Section,
    Table,
)

TEACHER, STUDENT, AGORA = "3fa1" * 16, "9be2" * 16, "agora"
HOSTILE = '<script>alert("1")</script> & a|b_c*'
VOID = {"meta", "link", "br", "hr", "img", "input"}


@functools.lru_cache(maxsize=None)
def chart() -> str:
    return draw_chart(
        [
            Series(HOSTILE, [0, 1, 2], [0.1, 0.2, 0.3], [0.0, 0.1, 0.2], [0.2, 0.3, 0.4]),
            Series("points", [0.5, 1.5], [0.2, 0.1], joined=False, names=["p <q>", "r"]),
        ],
        Axes("steps", "accuracy", percent=True, levels={"teacher": 0.5}, limits={"T": 1.0}),
    )


def sample() -> Document:
    data = Table(["step", "accuracy"], [["1", Number("20.5 %", TEACHER)]])
    by_row = Table(
        ["model", "loss", "accuracy"],
        [
            [f"teacher {HOSTILE}", Number("1.775", TEACHER), Number("56.9 %", TEACHER)],
            ["student", Number("1.893", STUDENT), "–"],
        ],
        "Held-out scores",
        ["Means over ", Number("3", STUDENT), " seeds."],
        emphasised=[1],
    )
    mixed = Table(["", "x", "y"], [["r", Number("7", TEACHER), Number("8", STUDENT)]] * 2)
    cells = Table(
        ["", "x", "y"],
        [
            ["r", Number("11", TEACHER), Number("12", STUDENT)],
            ["s", Number("13", STUDENT), Number("14", TEACHER)],
        ],
    )
    return Document(
        f"A small model {HOSTILE}",
        ["It is ", Number("3.11", (TEACHER, STUDENT)), f" times as fast. {HOSTILE}"],
        [
            Section("Scores", ["A paragraph.", by_row, mixed, cells]),
            Section(
                f"Figures {HOSTILE}",
                [
                    Figure("Curves", chart(), ["At most ", Number("9 %", STUDENT)], TEACHER, data),
                    Figure(f"Again {HOSTILE}", chart(), "", (TEACHER, STUDENT)),
                ],
            ),
            Section(
                "Go on",
                [
                    Bullets(["one", ["two ", Number("2e-05", AGORA)]]),
                    Code(f"run --name '{HOSTILE}'\n```\n"),
                    "1. no list",
                ],
            ),
        ],
        [
            ReportedStage("teacher", TEACHER, 67.4, {"steps": 1500, "sizes": [3, 4]}),
            ReportedStage(f"student {HOSTILE}", STUDENT, 4000.0, {"name": HOSTILE}, [TEACHER]),
            ReportedStage("agora", AGORA),
        ],
        [Highlight(Number("3.1 ×", STUDENT), "faster than the teacher")],
    )


class Page(HTMLParser):
    """A page taken apart; `errors` has every tag that is not closed, or closed wrongly."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: List[str] = []
        self.errors: List[str] = []
        self.elements: List[Tuple[str, Dict[str, Optional[str]]]] = []
        self.numbers: List[Tuple[str, Dict[str, Optional[str]]]] = []
        self.text: List[str] = []
        self.feed(text)
        self.close()
        self.errors += [f"{tag} is not closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if len(dict(attrs)) < len(attrs):
            self.errors.append(f"{tag} has an attribute twice")
        if tag not in VOID:
            self.open.append(tag)
        if tag == "a" and dict(attrs).get("class") == "number":
            self.numbers.append(("", dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.errors.append(f"</{tag}> closes {self.open[-1:]}, line {self.getpos()[0]}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.text.append(data)
        if self.open and self.open[-1] == "a" and self.numbers and not self.numbers[-1][0]:
            self.numbers[-1] = (data, self.numbers[-1][1])

    def all_of(self, tag: str) -> List[Dict[str, Optional[str]]]:
        return [attributes for name, attributes in self.elements if name == tag]
