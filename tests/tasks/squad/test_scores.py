"""The reports of SQuAD's official scripts: by hand, by a second implementation, by the scripts."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.tasks.records import get_task
from bort.tasks.squad.scores import best_threshold, score_squad

FIRST, SECOND = get_task("SQuAD1.1"), get_task("SQuAD2.0")
SCRIPTS = "BORT_SQUAD_EVALUATION"
WORDS = "the a an The A. U.S. été naïve 東京 🙂 مرحبا x X, 12 $5 (b) o'k -- İ ß red Red".split()
REAL = st.sampled_from(["x", "red x", "12 red", "x red 12"])
GOLD = st.dictionaries(st.text(max_size=3), st.lists(REAL, max_size=3), min_size=1, max_size=8)


def test_the_first_version_by_hand():
    gold = {"a": ["Eiffel tower"], "b": ["Paris", "Paris, France"], "c": ["x"], "d": ["one", "two"]}
    predicted = {"a": "The Eiffel Tower!", "b": "in Paris France", "c": "", "other": "y"}
    exact, f1 = 100 * 1 / 4, 100 * (1 + 0.8 + 0 + 0) / 4
    assert score_squad(FIRST, predicted, gold) == {"exact_match": exact, "f1": f1}
    assert score_squad(FIRST, {}, gold) == {"exact_match": 0.0, "f1": 0.0}


def test_the_second_version_by_hand():
    gold: Dict[str, List[str]] = {"a": ["x y"], "b": [], "c": ["z"], "d": []}
    predicted = {"a": "x", "b": "", "c": "z", "d": "no"}
    report = score_squad(SECOND, predicted, gold)
    assert report == {
        "exact": 50.0, "f1": 100 * (2 / 3 + 1 + 1 + 0) / 4, "total": 4,
        "HasAns_exact": 50.0, "HasAns_f1": 100 * (2 / 3 + 1) / 2, "HasAns_total": 2,
        "NoAns_exact": 50.0, "NoAns_f1": 50.0, "NoAns_total": 2,
    }  # fmt: skip
    assert list(report)[:4] == ["exact", "f1", "total", "HasAns_exact"]
    odds = {"a": -5.0, "b": 4.0, "c": -4.0, "d": 1.5}
    judged = score_squad(SECOND, predicted, gold, odds)
    assert judged["exact"] == 75.0, "the null odds of d exceed 1: it counts as unanswered"
    assert {name: judged[name] for name in judged if name.startswith("best")} == {
        "best_exact": 75.0, "best_exact_thresh": -4.0,
        "best_f1": 100 * (2 / 3 + 1 + 2) / 4, "best_f1_thresh": -4.0,
    }  # fmt: skip
    assert score_squad(SECOND, predicted, gold, odds, threshold=2.0)["exact"] == 50.0


def test_parts_that_do_not_occur_have_no_scores():
    assert list(score_squad(SECOND, {"a": ""}, {"a": []})) == [
        "exact", "f1", "total", "NoAns_exact", "NoAns_f1", "NoAns_total",
    ]  # fmt: skip
    assert score_squad(SECOND, {"a": ""}, {"a": []})["exact"] == 100.0
    assert "NoAns_f1" not in score_squad(SECOND, {"a": ""}, {"a": ["x"]})


def test_a_blank_answer_counts_as_no_answer_in_the_second_version_alone():
    gold = {"a": ["the"]}
    assert score_squad(SECOND, {"a": "..."}, gold)["f1"] == 100.0
    assert score_squad(FIRST, {"a": "..."}, gold) == {"exact_match": 100.0, "f1": 0.0}


def test_what_is_missing_is_named():
    gold = {"a": ["x"], "b": []}
    with pytest.raises(InputError, match=r"SQuAD2.0: question 'b' has no prediction \(1 of 2"):
        score_squad(SECOND, {"a": "x"}, gold)
    with pytest.raises(InputError, match=r"SQuAD2.0: question 'a' has no null odds \(2 of 2"):
        score_squad(SECOND, {"a": "x", "b": ""}, gold, {"c": 1.0})
    for record in (FIRST, SECOND):
        with pytest.raises(InputError, match="gold is empty"):
            score_squad(record, {}, {})


@given(GOLD, st.data())
def test_the_best_threshold_is_that_of_trying_all(gold, data):
    """The second opinion: score the questions anew for every threshold."""
    predicted = {index: data.draw(st.sampled_from(["", "x", "red", "12 x"])) for index in gold}
    numbers = data.draw(st.permutations(range(len(gold))))
    odds = {index: float(number) - 2 for index, number in zip(gold, numbers)}
    raw = {i: score_squad(SECOND, predicted, {i: gold[i]})["f1"] / 100 for i in gold}
    tried = [(100 * sum(not answers for answers in gold.values()) / len(gold), 0.0)]
    for limit in sorted(odds.values()):
        kept = [raw[i] if odds[i] <= limit else float(not gold[i]) for i in gold]
        tried.append((100 * sum(kept) / len(gold), limit))
    best, place = best_threshold(predicted, raw, odds, gold)
    assert best == pytest.approx(max(score for score, _ in tried))
    assert any(score == pytest.approx(best) and limit == place for score, limit in tried)


def random_case(generator: random.Random) -> Tuple[Dict[str, List[str]], Dict[str, str]]:
    def text(empty: float) -> str:
        if generator.random() < empty:
            return generator.choice(["", "the", "...", " ", "a an"])
        words = [generator.choice(WORDS) for _ in range(generator.randint(1, 6))]
        return generator.choice([" ", "  ", "\u00a0"]).join(words)

    gold = {
        f"q{n}": [text(0.05) for _ in range(generator.randint(1, 4))]
        for n in range(generator.randint(3, 40))
    }
    predicted = {
        index: generator.choice(answers) if generator.random() < 0.5 else text(0.3)
        for index, answers in gold.items()
    }
    return gold, predicted


def by_script(folder: Path, version: str, gold: Any, predicted: Any, *more: str) -> Dict[str, Any]:
    questions = [
        {"id": i, "question": "q", "answers": [{"text": t, "answer_start": 0} for t in answers]}
        for i, answers in gold.items()
    ]
    article = {"title": "t", "paragraphs": [{"context": "c", "qas": questions}]}
    (folder / "data.json").write_text(json.dumps({"version": version, "data": [article]}))
    (folder / "predictions.json").write_text(json.dumps(predicted))
    script = Path(os.environ[SCRIPTS]) / f"evaluate-v{version}.py"
    command = [sys.executable, str(script), str(folder / "data.json")]
    command += [str(folder / "predictions.json"), *more]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report: Dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.skipif(
    not os.environ.get(SCRIPTS), reason=f"{SCRIPTS} names no folder of the official scripts"
)
@pytest.mark.parametrize("seed", range(10))
def test_the_official_scripts_say_the_same_to_the_last_digit(seed: int, tmp_path: Path):
    generator = random.Random(seed)
    gold, predicted = random_case(generator)
    fewer = {index: text for index, text in predicted.items() if generator.random() < 0.8}
    theirs = by_script(tmp_path, "1.1", gold, fewer)
    assert list(score_squad(FIRST, fewer, gold).items()) == list(theirs.items())
    some = {index: [] if generator.random() < 0.4 else gold[index] for index in gold}
    theirs = by_script(tmp_path, "2.0", some, predicted)
    assert list(score_squad(SECOND, predicted, some).items()) == list(theirs.items())
    odds = {i: generator.choice([generator.uniform(-9, 9), 0.0, 1.0]) for i in gold}
    (tmp_path / "odds.json").write_text(json.dumps(odds))
    theirs = by_script(tmp_path, "2.0", some, predicted, "-n", str(tmp_path / "odds.json"))
    assert list(score_squad(SECOND, predicted, some, odds).items()) == list(theirs.items())
