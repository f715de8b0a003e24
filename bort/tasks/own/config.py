"""Settings of a file of labelled texts: its columns, the kind of its labels, the metric."""

from __future__ import annotations

import dataclasses
from typing import Optional, Tuple

from bort.errors import InputError
from bort.settings.config import Config, setting
from bort.tasks.own.label_fields import FORMS, LABEL_KINDS, METRICS, SEVERAL_LABELS
from bort.tasks.own.task import LARGEST_SHARE, SHARE


@dataclasses.dataclass(frozen=True)
class OwnDataConfig(Config):
    """The columns, the kind of labels and the metric of a file of labelled texts."""

    text_columns: Optional[Tuple[str, ...]] = setting(
        None,
        "column of the texts, or two columns of pairs; numbers from 1 if the file has no header; "
        "default: those with a known name, such as text or sentence1 and sentence2",
    )
    label_column: Optional[str] = setting(
        None, "column of the labels; default: label, labels, class, target or score"
    )
    kind: Optional[str] = setting(
        None,
        "what the labels are: one class, one number, or any number of labels for each row; "
        "default: numbers if most of them are not whole, labels if they are lists of JSON, else "
        "classes",
        choices=LABEL_KINDS,
    )
    label_separator: Optional[str] = setting(
        None, "text between several labels in a cell of --label_column, such as ';'; default: none"
    )
    label_columns: Optional[Tuple[str, ...]] = setting(
        None, "columns of 0 and 1, one for each of several labels, which have their names"
    )
    metric: Optional[str] = setting(
        None,
        "metric; default: accuracy and macro_f1 for classes, macro_f1 and matthews if one class "
        "has more than 4 times the rows of another, pearson and spearman for numbers, micro_f1, "
        "macro_f1 and subset_accuracy for labels",
        choices=METRICS,
    )
    split_seed: int = setting(0, "seed of the draw of train, dev and report splits", minimum=0)

    def check(self) -> None:
        """Check that what is said about several labels agrees."""
        values = self.as_dict()
        given = [name for name in FORMS if values[name] is not None]
        if given and self.kind not in (None, SEVERAL_LABELS):
            raise InputError(
                f"kind is {self.kind!r} and {given[0]} is {values[given[0]]!r}, allowed with it is "
                f"{SEVERAL_LABELS!r}"
            )
        if self.label_separator == "":
            raise InputError("label_separator is '', allowed is a text between labels")
        if self.label_columns is None:
            return
        if len(set(self.label_columns)) < max(2, len(self.label_columns)):
            raise InputError(
                f"label_columns is {list(self.label_columns)}, allowed are two different columns "
                "or more"
            )
        for name in ("label_separator", "label_column"):
            if values[name] is not None:
                raise InputError(f"label_columns and {name} are both given, allowed is one of them")

    def check_unused(self, other: str) -> None:
        """Check that nothing is said about a file, because there is none.

        Args:
            other: words for the data in place of the file, for the error.
        """
        defaults = OwnDataConfig.defaults()
        for name, value in self.as_dict().items():
            if value != defaults[name]:
                raise InputError(
                    f"{name} is {value!r}, which is allowed with a file of data only, not with "
                    f"{other}"
                )


@dataclasses.dataclass(frozen=True)
class DescribeConfig(OwnDataConfig):
    """The files of a task, and the task file to write."""

    output: Optional[str] = setting(None, "task file to write, .json; default: none is written")
    name: Optional[str] = setting(
        None, "name of the task; default: that of the file, without its ending"
    )
    dev: Optional[str] = setting(
        None, "file of the dev split; default: a share of the data, by seed"
    )
    report: Optional[str] = setting(
        None, "file of the report split; default: a share of the data, by seed"
    )
    test: Optional[str] = setting(
        None, "file of a test split, which fine-tuning predicts; its labels are never read"
    )
    dev_share: float = setting(
        SHARE, "share of the data in a drawn dev split", above=0.0, maximum=LARGEST_SHARE
    )
    report_share: float = setting(
        SHARE,
        "share of the data in a drawn report split; 0: no report split",
        minimum=0.0,
        maximum=LARGEST_SHARE,
    )

    def check(self) -> None:
        """Check what is said about several labels, and that the task file is JSON."""
        super().check()
        if self.output is not None and not self.output.lower().endswith(".json"):
            raise InputError(f"output is {self.output!r}, allowed is a name that ends in .json")
