"""Tests of the texts of sub-networks: names, words, files."""

from __future__ import annotations

import json

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.super_network.parts import is_part_name, part_name, read_part, read_parts
from bort.super_network.space import SubNetworkSpace

WHOLE = Architecture(6, 4, 48, 96, vocabulary_size=50, maximum_length=16, token_types=2, qkv=32)
HEADS = SubNetworkSpace((1, 3, 6), (24, 48), (48, 96), heads=(2, 4))
QKVS = SubNetworkSpace((1, 3, 6), (24, 48), (48, 96), qkvs=(16, 24, 32))


def sizes(part: Architecture):
    return (part.depth, part.heads, part.hidden, part.intermediate, part.qkv)


@pytest.mark.parametrize("text", ["2-2-64-128", "2-2-64-128-pre", "2-2-64-128-64-pre", "loss", ""])
def test_other_texts_are_no_names(text):
    assert is_part_name("2-2-64-128-64")
    assert not is_part_name(text)


@pytest.mark.parametrize("space", [HEADS, QKVS])
def test_a_name_is_read_back(space):
    for part in space.sample(WHOLE, 10**6, None):
        assert read_part(part_name(part), WHOLE, space) == part


def test_without_qkv_heads_keep_their_width_or_qkv_is_hidden():
    assert sizes(read_part("3-2-24-48", WHOLE, HEADS)) == (3, 2, 24, 48, 16)
    assert sizes(read_part("3-4-24-48", WHOLE, QKVS)) == (3, 4, 24, 48, 24)


def test_vocabulary_length_and_token_types_are_those_of_the_whole():
    part = read_part("3-2-24-48", WHOLE, HEADS)
    assert (part.vocabulary_size, part.maximum_length, part.token_types) == (50, 16, 2)


def test_the_ends_of_the_space_have_words():
    assert read_part("largest", WHOLE, QKVS) == QKVS.maximum(WHOLE)
    assert read_part("smallest", WHOLE, QKVS) == QKVS.minimum(WHOLE)


def test_files_hold_several_and_each_is_taken_once(tmp_path):
    lines, objects = tmp_path / "parts.txt", tmp_path / "parts.json"
    lines.write_text("3-2-24-48\n\n 1-2-24-48-16 \nlargest\n")
    objects.write_text(
        json.dumps(
            ["3-2-24-48-16", {"depth": 6, "heads": 4, "hidden": 24, "intermediate": 7, "qkv": 16}]
        )
    )
    one = tmp_path / "best.json"
    values = {"depth": 1, "heads": 2, "hidden": 24, "intermediate": 48, "vocabulary_size": 9}
    one.write_text(json.dumps({"architecture": {**values, "qkv": 16}}))
    found = read_parts([str(lines), str(objects), str(one), "6-4-48-96-32"], WHOLE, HEADS)
    assert [part_name(part) for part in found] == [
        "3-2-24-48-16",
        "1-2-24-48-16",
        "6-4-48-96-32",
        "6-4-24-7-16",
    ]


def test_a_line_may_be_a_candidate_of_autotinybert(tmp_path):
    lists = "'sample_num_attention_heads': [2], 'sample_intermediate_sizes': [48], "
    line = (
        "{'sample_layer_num': 1, 'sample_hidden_size': 24, " + lists + "'sample_qkv_sizes': [16]}"
    )
    path = tmp_path / "archs.txt"
    path.write_text(f"{line}\n1-2-24-48-16\n{line.replace('24', '48')}\n")
    found = read_parts([str(path)], WHOLE, HEADS)
    assert [part_name(part) for part in found] == ["1-2-24-48-16", "1-2-48-48-16"]
    path.write_text(line.replace("24", "64"))
    with pytest.raises(
        InputError, match=r"archs\.txt line 1: .*hidden is 64, allowed is at most 48"
    ):
        read_parts([str(path)], WHOLE, HEADS)
    path.write_text("{'sample_layer_num': __import__('os')}")
    with pytest.raises(
        InputError, match=r"archs\.txt line 1: is .*allowed is a dictionary of names"
    ):
        read_parts([str(path)], WHOLE, HEADS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3-2-24-48-16-pre", "3-2-24-48-16-pre: sub-network: norm is pre, allowed is post, that"),
        (
            "7-2-24-48",
            "7-2-24-48: sub-network: depth is 7, allowed is at most 6, that of the whole",
        ),
        ("3-5-24-48", "3-5-24-48: sub-network: heads is 5, allowed is at most 4"),
        ("3-2-24-48-24", "3-2-24-48-24: sub-network: qkv is 24 with 2 heads, so a head is 12 wide"),
        ("3-3-24-48-16", "3-3-24-48-16: architecture: heads is 3, which does not divide qkv 16"),
        (
            "3-2-24",
            "architecture is '3-2-24', allowed are depth-heads-hidden-intermediate[-qkv], la",
        ),
        ("", "architecture is '', allowed are depth-heads-hidden"),
        ("x" * 10**6, f"architecture is '{'x' * 59}…, allowed are depth"),
        ("none.json", "none.json: cannot be read"),
        ("0-2-24-48", "0-2-24-48: architecture: depth is 0, allowed is an integer of at least 1"),
        ("3-2-24-48-pre", "3-2-24-48-pre: sub-network: norm is pre, allowed is post, that of the"),
    ],
)
def test_what_does_not_fit_is_named(text, message):
    with pytest.raises(InputError) as error:
        read_part(text, WHOLE, HEADS)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "allowed is a list of at least one architecture"),
        ("[3]", r"p\.json: \[0\]: is 3, allowed are a text and an object"),
        ('["1-2-24-48", "9-2-24-48"]', r"p\.json: \[1\]: 9-2-24-48: sub-network: depth is 9"),
        ('[{"depth": 1}]', r"p\.json: \[0\]: architecture: field 'heads' is missing"),
    ],
)
def test_a_bad_place_of_a_file_is_named(tmp_path, content, message):
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_parts([str(tmp_path / "p.json")], WHOLE, HEADS)


def test_a_bad_line_of_a_file_is_named(tmp_path):
    (tmp_path / "p.txt").write_text("1-2-24-48\nbig\n")
    with pytest.raises(InputError, match=r"p\.txt line 2: architecture is 'big', allowed are"):
        read_parts([str(tmp_path / "p.txt")], WHOLE, HEADS)


def test_a_pre_norm_whole_has_pre_norm_parts():
    whole = WHOLE.replace(norm="pre")
    for text in ("3-2-24-48", "3-2-24-48-pre", "3-2-24-48-16-pre"):
        assert read_part(text, whole, HEADS) == whole.replace(
            depth=3, heads=2, hidden=24, intermediate=48, qkv=16
        )
