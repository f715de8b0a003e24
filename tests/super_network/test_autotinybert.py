"""Tests of AutoTinyBERT's files, on samples that were written by hand after their description."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.super_network.autotinybert import (
    SubNetworkSizes,
    mean_errors,
    read_candidates,
    read_latencies,
    read_performances,
)

S1 = SubNetworkSizes(5, 8, 564, 1054, 512)
S4 = SubNetworkSizes(3, 4, 320, 608, 256)


def dictionary(sizes: SubNetworkSizes = S1, **changes):
    return {
        "sample_layer_num": sizes.depth,
        "sample_num_attention_heads": [sizes.heads] * sizes.depth,
        "sample_hidden_size": sizes.hidden,
        "sample_intermediate_sizes": [sizes.intermediate] * sizes.depth,
        "sample_qkv_sizes": [sizes.qkv] * sizes.depth,
        **changes,
    }


def write(tmp_path, *lines: str):
    path = tmp_path / "file.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def block(sizes: SubNetworkSizes, task: str, score: str):
    return [
        "**************S*************",
        f"task_name = {task}",
        f"architecture = {dictionary(sizes)}",
        "parameter size = 29573882",
        "total training time = 12.5",
        f"best_acc = {score}",
        "time_per_batch_infer = 25.314 ms",
        "infer_cnt = 277",
        "**************E*************",
        "",
    ]


def test_candidates_as_python_text_and_as_json_are_read_once_each(tmp_path):
    backwards = dict(reversed(list(dictionary().items())))
    in_floats = dictionary(sample_hidden_size=564.0, sample_qkv_sizes=[512.0] * 5)
    path = write(
        tmp_path,
        str(dictionary()),
        json.dumps(dictionary(S4)),
        "",
        str(backwards),
        json.dumps(in_floats),
    )
    assert read_candidates(path) == [S1, S4]
    whole = Architecture(12, 12, 768, 3072, 30522, 512, token_types=2)
    assert S1.within(whole).parameter_count(pooler=True) == 29_573_882
    assert S4.within(whole).parameter_count(pooler=True) == 12_195_168


@pytest.mark.parametrize(
    "line",
    [
        "__import__('os').system('touch /tmp/bort-was-here')",
        "{'sample_layer_num': __import__('os').getpid()}",
        "[x for x in ().__class__.__base__.__subclasses__()]",
        "{'sample_layer_num': 10**10**10}",
        "{'sample_layer_num': f'{1}'}\\",
        "(" * 5000,
        "{'a': " + "[" * 70000,
    ],
)
def test_a_line_of_code_is_refused(tmp_path, line):
    path = write(tmp_path, str(dictionary()), line)
    for read in (read_candidates, lambda p: read_latencies(p), read_performances):
        with pytest.raises(InputError, match=r"file\.txt line [12]: "):
            read(path)
    with pytest.raises(InputError, match=r"file\.txt line 2: is .*allowed is a dictionary"):
        read_candidates(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_layer_num": 6}, "sample_num_attention_heads has 5 values, allowed is one for"),
        ({"sample_layer_num": True}, "sample_layer_num is True, allowed is an integer from 1 to"),
        ({"sample_hidden_size": 564.5}, "sample_hidden_size is 564.5, allowed is an integer"),
        ({"sample_qkv_sizes": [512] * 4 + [256]}, "sample_qkv_sizes is .*, allowed is one size"),
        ({"sample_qkv_sizes": [510] * 5}, "heads is 8, which does not divide .* 510"),
        ({"sample_qkv_sizes": 512}, "sample_qkv_sizes is 512"),
        ({"vocab": 3}, "unknown field 'vocab', known are sample_layer_num,"),
    ],
)
def test_a_bad_field_is_named(tmp_path, changes, message):
    text = json.dumps(dictionary(**changes))
    with pytest.raises(InputError, match=rf"file\.txt line 2: .*{message}"):
        read_candidates(write(tmp_path, str(dictionary()), text))


def test_a_missing_field_is_named(tmp_path):
    lacking = dictionary()
    del lacking["sample_qkv_sizes"]
    with pytest.raises(InputError, match=r"line 1: sample_qkv_sizes is missing"):
        read_candidates(write(tmp_path, str(lacking)))


def test_latencies_are_seconds(tmp_path):
    path = write(tmp_path, f"{dictionary()}\t123.5", f"{dictionary(S4)}\t8e1")
    assert read_latencies(path) == [(S1, 0.1235), (S4, 0.080)]


@pytest.mark.parametrize("time", ["", "nan", "1e999", "-3", "0", "1 ms", "0x10", "1_0"])
def test_a_bad_time_is_refused(tmp_path, time):
    with pytest.raises(InputError, match=r"file\.txt line 1: milliseconds is "):
        read_latencies(write(tmp_path, f"{dictionary()}\t{time}"))
    with pytest.raises(InputError, match=r"file\.txt line 1: has no tab"):
        read_latencies(write(tmp_path, str(dictionary())))


def test_performances_of_glue_and_squad(tmp_path):
    path = write(
        tmp_path,
        *block(S1, "mnli", "0.8123"),
        *block(S1, "squad1", "f1: 80.5; em: 70"),
        *block(S4, "mnli", "0.7"),
        *block(S1, "mnli", "0.82"),
    )
    found = read_performances(path)
    assert [one.sizes for one in found] == [S1, S1, S4, S1]
    assert [one.task for one in found] == ["mnli", "squad1", "mnli", "mnli"]
    assert found[1].scores == {"f1": 0.805, "exact_match": 0.70}
    assert [one.score for one in found] == [0.8123, 0.805, 0.7, 0.82]
    assert mean_errors(found) == {S1: pytest.approx(1 - (0.82 + 0.805) / 2)}
    assert mean_errors(found, ("mnli",)) == {S1: pytest.approx(0.18), S4: pytest.approx(0.3)}


def test_a_long_f1_is_read_whole(tmp_path):
    """The original cuts F1 from seven fixed characters."""
    path = write(tmp_path, *block(S1, "squad1", "f1: 8.123456789; em: 7.0"))
    assert read_performances(path)[0].scores["f1"] == 8.123456789 / 100


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("best_acc = 0.8", "best_acc = 81.2", "line 6: best_acc is '81.2', allowed are a share"),
        ("best_acc = 0.8", "best_acc = f1: x; em: 7", "line 6: best_acc is 'x', allowed is a fin"),
        ("best_acc = 0.8\n", "", "line 2: the block of task 'mnli' has no best_acc"),
        ("infer_cnt = 277", "best_acc = 0.9", "line 8: best_acc stands outside of its block, or"),
        ("task_name = mnli\n", "", "line 2: architecture stands outside of its block"),
        ("infer_cnt = 277", "import os", "line 8: is 'import os', allowed are lines"),
    ],
)
def test_a_bad_block_is_refused(tmp_path, old, new, message):
    text = "\n".join(block(S1, "mnli", "0.8"))
    assert old in text
    with pytest.raises(InputError, match=rf"file\.txt {message}"):
        read_performances(write(tmp_path, *text.replace(old, new).split("\n")))


def test_damaged_files_end_with_a_clear_error_or_are_read(tmp_path):
    """Single characters of a file are deleted, repeated or replaced: no other error comes out."""
    texts = {
        read_candidates: f"{dictionary()}\n{json.dumps(dictionary(S4))}\n",
        read_latencies: f"{dictionary()}\t12.5\n",
        read_performances: "\n".join(block(S1, "mnli", "f1: 80; em: 70.5")),
    }
    generator = np.random.default_rng(0)
    messages = []
    for read, text in texts.items():
        for _ in range(300):
            place = int(generator.integers(len(text)))
            new = ["", text[place] * 2, "\0", "(", "'", "9", "é"][int(generator.integers(7))]
            path = tmp_path / "damaged"
            path.write_text(text[:place] + new + text[place + 1 :], encoding="utf-8")
            try:
                read(path)
            except InputError as error:
                messages.append(str(error))
    assert len(messages) > 300
    assert all(message.startswith(f"{tmp_path / 'damaged'}") for message in messages)
