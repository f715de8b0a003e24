"""Labels of an own task: their kind, classes, metrics, and what is refused."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.tasks.own.labels import as_number, class_names, read_label, summarise_labels


def summary(values, kind=None, metric=None):
    places = [f"f.csv line {number}" for number in range(2, len(values) + 2)]
    return summarise_labels(values, places, "f.csv: column 'label'", kind, metric)


def test_texts_and_whole_numbers_are_classes():
    found = summary(["good", "bad", "good"] * 4)
    assert (found.labels, found.label_range) == (("bad", "good"), None)
    assert found.counts == {"bad": 4, "good": 8}
    assert found.metrics == ("accuracy", "macro_f1")
    assert found.text == "2 classes (bad 33 %, good 67 %)"
    assert summary(["10", "2", "-1"] * 3).labels == ("-1", "2", "10")
    assert summary(["1.0", "0", "0.0", "1"]).labels == ("0", "1")
    assert summary(["1.0", "0.5", "x", "x"] * 2).labels == ("0.5", "1.0", "x")


def test_numbers_are_those_of_which_most_are_not_whole():
    found = summary(["0.5", "2.25", "-1"])
    assert (found.labels, found.label_range) == ((), (-1.0, 2.25))
    assert found.metrics == ("pearson", "spearman")
    assert found.text == "numbers from -1 to 2.25"
    assert summary(["1", "2", "3"], kind="number").label_range == (1.0, 3.0)
    assert summary(["0.5", "0.25", "0.5", "0.25"], kind="classes").labels == ("0.25", "0.5")


def test_imbalanced_classes_have_other_metrics():
    assert summary(["a"] * 4 + ["b"]).metrics == ("accuracy", "macro_f1")
    assert summary(["a"] * 5 + ["b"]).metrics == ("macro_f1", "matthews")
    assert summary(["a"] * 5 + ["b"], metric="f1").metrics == ("f1",)


def test_a_share_that_rounds_to_none_or_all_is_said_in_rows():
    assert summary(["a"] * 399 + ["b"]).text == "2 classes (a 399 rows, b 1 row)"
    assert summary(["a"] * 1197 + ["b"] * 3).text == "2 classes (a 1,197 rows, b 3 rows)"


def test_numbers_with_three_decimals_behind_a_comma_are_refused_as_numbers():
    values = ["3,800", "0,067", "2,500"]
    with pytest.raises(
        InputError, match=r"line 2: label is '3,800', .* write 3\.800 or 3800; 2 ro"
    ):
        summary(values)
    assert summary(values * 2, kind="classes").labels == ("0,067", "2,500", "3,800")
    with pytest.raises(InputError, match=r"line 3: label is '-', .* 1234\.5; 3 rows have no such"):
        summary(["0.5", "-", "1.5", "-", "-", "0.1", "0.3"])


def test_many_classes_are_not_all_shown():
    values = [f"c{number}" for number in range(7)] * 2
    assert summary(values).text.endswith("c4 14 %, and 2 more)")


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "no row has a label"),
        (["a"] * 3, {}, "all 3 labels are 'a', allowed are two classes or more"),
        (["a"], {}, "the only label is 'a', allowed are two classes or more"),
        (["0,5", "1,234"], {"kind": "number"}, "label is '1,234', .* number, such as 1234.5"),
        (list("abcdef"), {}, "6 rows have 6 different labels, which are no classes"),
        (["0.5"] * 3, {}, "all 3 numbers are 0.5"),
        (["1", "x"], {"kind": "number"}, "line 3: label is 'x', allowed is a finite number"),
        (["1", "nan"], {"kind": "number"}, "line 3: label is 'nan'"),
        (["1", "1_0"], {"kind": "number"}, "line 3: label is '1_0'"),
        (["0.5", "1e999"], {"kind": "number"}, "line 3: label is '1e999'.* as 1234.5$"),
        (["0.5", "-1e39"], {"kind": "number"}, r"line 3: label is '-1e39'.* at most 1e\+38$"),
        (["a", "b"], {"metric": "pearson"}, "metric is 'pearson', allowed for 2 classes"),
        (["0.5", "1.5"], {"metric": "f1"}, "metric is 'f1', allowed for numbers are pearson"),
        (["a", "b", "c"] * 2, {"metric": "f1"}, "metric is 'f1', allowed for 3 classes"),
        ([str(n) for n in range(1001)] * 2, {}, "has 1001 different labels, allowed are 1000"),
    ],
)
def test_labels_that_make_no_task(values, options, message):
    with pytest.raises(InputError, match=message):
        summary(values, **options)


@pytest.mark.parametrize(
    ("text", "number"),
    [("3,75", 3.75), ("-0,125", -0.125), ("12,3456", 12.3456), ("1,234", None), ("1,5,2", None),
     ("12,345,678", None), ("1.234,5", None), (",5", None)],
)  # fmt: skip
def test_a_comma_is_a_decimal_one_unless_it_may_separate_thousands(text, number):
    assert as_number(text) == number


def test_numbers_with_decimal_commas_are_numbers():
    assert summary(["0,5", "1,25", "3"]).label_range == (0.5, 3.0)


def test_classes_that_are_probably_not_meant_are_told():
    assert summary(["a", "b", "none"] * 2).doubts == []
    assert summary(["Good", "bad", "good", "bad  day", "Bad day", "nan"] * 2).doubts == [
        "classes that differ in upper and lower case only: 'Bad day' and 'bad  day', "
        "'Good' and 'good'",
        "classes that look like a missing label: nan",
    ]


def test_a_label_is_read_as_the_task_names_it():
    assert read_label("1.0", ("0", "1"), None, "x") == "1"
    assert read_label("a", ("a", "b"), None, "x") == "a"
    assert read_label("7", (), (0.0, 5.0), "x") == 7.0
    with pytest.raises(InputError, match=r"f line 9: label is 'c', allowed are a, b"):
        read_label("c", ("a", "b"), None, "f line 9")
    with pytest.raises(InputError, match="and 5 more"):
        read_label("c", [str(number) for number in range(25)], None, "f")


def test_whole_numbers_stay_apart_from_texts():
    assert class_names(["1.0", "1", "x"]) == {"1.0": "1.0", "1": "1", "x": "x"}
    assert class_names(["+3", "-0"]) == {"+3": "3", "-0": "0"}


def test_labels_with_leading_zeros_are_names():
    assert summary(["007", "7", "12"] * 2).counts == {"007": 2, "12": 2, "7": 2}
    assert summary(["01", "02", "10"] * 2).labels == ("01", "02", "10")
    assert summary(["00", "1.0", "1"] * 2).labels == ("00", "1", "1.0")
    assert summary([("007", "7"), ("12",), ("7",)]).counts == {"007": 1, "12": 1, "7": 2}
    assert read_label("007", ("007", "12", "7"), None, "x") == "007"
    assert read_label(("7", "007"), ("007", "12", "7"), None, "x") == ("007", "7")
    with pytest.raises(InputError, match="f line 9: label is '007', allowed are 7, 12"):
        read_label("007", ("7", "12"), None, "f line 9")


def test_labels_of_very_many_digits_are_names():
    long = "1" * 5000
    assert summary([long, "2"] * 2).labels == (long, "2")
    assert summary([(long, "2"), ("2",)]).labels == (long, "2")
    assert read_label(long, (long, "2"), None, "x") == long
    with pytest.raises(InputError, match="f line 9: label is '1{60}…', allowed are 1, 2"):
        read_label(long, ("1", "2"), None, "f line 9")
    longest = "9" * 300
    assert summary([longest, f"{longest}.0", "2"] * 2).labels == ("2", longest)


def test_several_labels_of_a_row():
    found = summary([("b", "a"), ("a",), (), ("a", "b", "c")])
    assert (found.kind, found.labels, found.label_range) == ("labels", ("a", "b", "c"), None)
    assert found.counts == {"a": 3, "b": 2, "c": 1}
    assert found.metrics == ("micro_f1", "macro_f1", "subset_accuracy")
    assert found.text == "3 labels, 1.5 a row (a 75 %, b 50 %, c 25 %), 1 row with none"
    assert summary([("10", "2"), ("2.0",)]).labels == ("2", "10")
    assert summary([("a", "b")], metric="macro_f1").metrics == ("macro_f1",)
    columns = ("z", "a", "01")
    found = summarise_labels([("z", "01"), ("a",)], ["", ""], "f.csv", columns=columns)
    assert found.labels == columns


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([("a",), ("a",)], {}, "all 2 rows together have the labels a, allowed are two different"),
        ([(), ()], {}, "all 2 rows together have the labels none, allowed are two different"),
        ([("a", "b")], {"metric": "accuracy"}, "allowed for 2 labels are micro_f1, macro_f1, subs"),
        ([tuple(map(str, range(1001)))], {}, "has 1001 different labels, allowed are 1000 classes"),
    ],
)
def test_several_labels_that_are_refused(values, options, message):
    with pytest.raises(InputError, match=message):
        summary(values, **options)


def test_a_column_of_a_label_that_no_row_has():
    with pytest.raises(InputError, match="f.csv: no row has the label 'c', allowed is one or more"):
        summarise_labels([("a", "b")], [""], "f.csv", columns=("a", "b", "c"))


def test_several_labels_are_read_in_the_order_of_the_task():
    assert read_label(("b", "a"), ("a", "b", "c"), None, "x") == ("a", "b")
    assert read_label((), ("a", "b"), None, "x") == ()
    assert read_label(("2.0",), ("1", "2"), None, "x") == ("2",)
    with pytest.raises(InputError, match="f.csv line 3: label is 'd', allowed are a, b"):
        read_label(("a", "d"), ("a", "b"), None, "f.csv line 3")
