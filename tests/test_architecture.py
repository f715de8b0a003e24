"""Tests of exact counts against a sum over all parameters, and against printed numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.architecture import (
    LARGEST_DEPTH,
    LARGEST_SIZE,
    NORMS,
    PRESETS,
    TABLE_2_MILLIONS,
    Architecture,
    get_architecture,
)
from bort.errors import InputError

SIZES = st.integers(1, 64)


@st.composite
def architectures(draw: Any) -> Architecture:
    heads = draw(st.integers(1, 16))
    return Architecture(
        depth=draw(st.integers(1, 30)),
        heads=heads,
        hidden=heads * draw(SIZES),
        intermediate=draw(st.integers(1, 5000)),
        vocabulary_size=draw(st.integers(1, 60000)),
        maximum_length=draw(st.integers(1, 1024)),
        token_types=draw(st.integers(0, 2)),
        norm=draw(st.sampled_from(NORMS)),
    )


def count_by_shapes(a: Architecture, *, pooler: bool, decoder: bool) -> int:
    """Return the sum of the sizes of all tensors of the network."""
    hidden, inner = a.hidden, a.intermediate
    norm = [(hidden,), (hidden,)]
    shapes = [(a.vocabulary_size, hidden), (a.maximum_length, hidden), (a.token_types, hidden)]
    shapes += norm
    for _ in range(a.depth):
        for _ in ("query", "key", "value", "output"):
            shapes += [(hidden, hidden), (hidden,)]
        shapes += norm
        shapes += [(inner, hidden), (inner,), (hidden, inner), (hidden,)]
        shapes += norm
    if pooler:
        shapes += [(hidden, hidden), (hidden,)]
    if decoder:
        shapes += [(hidden, hidden), (hidden,), *norm, (a.vocabulary_size,)]
    total = 0
    for shape in shapes:
        size = 1
        for dimension in shape:
            size *= dimension
        total += size
    return total


@given(architectures(), st.booleans(), st.booleans())
def test_the_count_is_the_sum_over_all_tensors(
    a: Architecture, pooler: bool, decoder: bool
) -> None:
    expected = count_by_shapes(a, pooler=pooler, decoder=decoder)
    assert a.parameter_count(pooler=pooler, decoder=decoder) == expected


@given(architectures())
def test_an_architecture_survives_its_dictionary(a: Architecture) -> None:
    assert Architecture.from_dict(json.loads(json.dumps(a.as_dict()))) == a
    assert ("norm" in a.as_dict()) == (a.norm == "pre")


def test_the_place_of_the_norms_tells_architectures_apart() -> None:
    post = Architecture(4, 8, 1024, 768)
    pre = post.replace(norm="pre")
    assert post.norm == "post"
    assert len({post, pre, pre.replace(norm="post"), get_architecture("4-8-1024-768-pre")}) == 2
    assert post < pre
    assert pre.parameter_count(decoder=True) == post.parameter_count(decoder=True)
    assert pre.multiply_adds(2, 64) == post.multiply_adds(2, 64)
    assert get_architecture("4-8-1024-768-512-pre") == pre.replace(qkv=512)
    assert str(pre.replace(qkv=512)) == "<D=4, A=8, H=1024, I=768, Q=512, pre-norm>"


@pytest.mark.parametrize("norm", ["", "both", "Pre", None, 1, True, [], {}, "x" * 500])
def test_an_unknown_norm_is_refused(norm: Any) -> None:
    with pytest.raises(InputError, match=r"^architecture: norm is .{0,70}, allowed are post, pre$"):
        Architecture(1, 1, 1, 1, norm=norm)
    with pytest.raises(InputError, match=r"^a\.json: norm is .{0,70}, allowed are post, pre$"):
        sizes = {"depth": 1, "heads": 1, "hidden": 1, "intermediate": 1, "norm": norm}
        Architecture.from_dict(sizes, "a.json")


@pytest.mark.parity("transformers")
def test_the_preset_of_megatron_bert_is_that_of_transformers() -> None:
    import transformers

    theirs = transformers.MegatronBertConfig()
    assert PRESETS["megatron_bert_24_1024_16_cased"] == Architecture(
        depth=theirs.num_hidden_layers,
        heads=theirs.num_attention_heads,
        hidden=theirs.hidden_size,
        intermediate=theirs.intermediate_size,
        vocabulary_size=theirs.vocab_size,
        maximum_length=theirs.max_position_embeddings,
        token_types=theirs.type_vocab_size,
        norm="pre",
    )


@given(architectures(), st.integers(1, 8))
def test_multiply_adds_are_linear_in_depth_and_batch(a: Architecture, factor: int) -> None:
    length = a.maximum_length
    once = a.multiply_adds(1, length)
    assert a.multiply_adds(factor, length) == factor * once
    assert a.replace(depth=a.depth * factor).multiply_adds(1, length) == factor * once


@given(architectures())
def test_multiply_adds_count_the_products_of_a_layer(a: Architecture) -> None:
    length, hidden = a.maximum_length, a.hidden
    projections = 4 * length * hidden * hidden
    attention = 2 * a.heads * length * length * a.head_width
    feed_forward = 2 * length * hidden * a.intermediate
    assert a.multiply_adds(1, length) == a.depth * (projections + attention + feed_forward)


def test_predictions_cost_the_decoder_each() -> None:
    a = PRESETS["bort_4_8_768_1024"]
    extra = a.multiply_adds(2, 128, predictions=20) - a.multiply_adds(2, 128)
    assert extra == 2 * 20 * (1024 * 1024 + 1024 * 50265)


@given(st.integers(1, 64), st.integers(1, 4096))
def test_heads_must_divide_hidden(heads: int, hidden: int) -> None:
    if hidden % heads:
        with pytest.raises(InputError, match=f"heads is {heads}.*hidden {hidden}"):
            Architecture(1, heads, hidden, 1)
    else:
        assert Architecture(1, heads, hidden, 1).head_width * heads == hidden


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "4", None])
@pytest.mark.parametrize("field", ["depth", "heads", "hidden", "intermediate", "vocabulary_size"])
def test_a_size_is_a_positive_integer(field: str, value: Any) -> None:
    sizes: Dict[str, Any] = {"depth": 1, "heads": 1, "hidden": 1, "intermediate": 1, field: value}
    with pytest.raises(InputError, match=field):
        Architecture(**sizes)


@pytest.mark.parametrize(
    ("name", "sizes", "parameters"),
    [
        # depth, heads, hidden, intermediate; the encoder's count, worked out by hand
        ("bort_4_8_768_1024", (4, 8, 1024, 768), 75_106_304),
        ("bort_2_16_512_1024", (2, 16, 1024, 512), 62_502_912),
        ("bert_12_768_12", (12, 12, 768, 3072), 108_891_648),
        ("roberta_24_1024_16", (24, 16, 1024, 4096), 354_307_072),
    ],
)
def test_presets_of_the_release(name: str, sizes: Any, parameters: int) -> None:
    preset = PRESETS[name]
    assert (preset.depth, preset.heads, preset.hidden, preset.intermediate) == sizes
    assert preset.parameter_count() == parameters


def test_known_counts_of_other_implementations() -> None:
    # Published with the checkpoints: BERT-base uncased with pooler 109 482 240, BERT-large
    # 335 141 888, and the 14 350 248 of TinyBERT-4.
    assert PRESETS["bert_12_768_12"].parameter_count(pooler=True) == 109_482_240
    assert PRESETS["bert_24_1024_16"].parameter_count(pooler=True) == 335_141_888
    assert PRESETS["tinybert_4"].parameter_count(pooler=True) == 14_350_248


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_found_by_name_and_holds_its_name(name: str) -> None:
    preset = get_architecture(name)
    assert preset is PRESETS[name]
    numbers = [int(part) for part in name.split("_") if part.isdigit()]
    if name.startswith(("bort_", "bert_1", "bert_2", "roberta_")):
        assert set(numbers) <= set(preset.as_dict().values())
        assert numbers[0] == preset.depth


@pytest.mark.parametrize(("title", "preset", "printed"), TABLE_2_MILLIONS)
def test_printed_figures_are_reproduced(title: str, preset: str, printed: float) -> None:
    a = PRESETS[preset]
    a = a.replace(token_types=max(1, a.token_types))
    count = a.parameter_count(pooler=True)
    if preset.startswith("bort_printed"):
        assert round((count + 1024 * a.hidden) / 1e6, 2) == printed
    else:  # the other numbers are from the models' papers, which round them
        assert count / 1e6 == pytest.approx(printed, rel=0.016)


def test_presets_cannot_be_changed_by_a_caller() -> None:
    preset = get_architecture("bort_4_8_768_1024")
    changed = preset.replace(maximum_length=128)
    assert changed.maximum_length == 128
    assert get_architecture("bort_4_8_768_1024").maximum_length == 512
    with pytest.raises(AttributeError):
        preset.depth = 2  # type: ignore[misc]


def test_a_file_is_read_with_and_without_the_key(tmp_path: Path) -> None:
    a = Architecture(2, 2, 64, 128, vocabulary_size=100, maximum_length=32)
    plain, inside = tmp_path / "plain.json", tmp_path / "run"
    plain.write_text(json.dumps(a.as_dict()))
    inside.write_text(json.dumps({"architecture": a.as_dict(), "seed": 1}))
    assert get_architecture(str(plain)) == a
    assert get_architecture(str(inside)) == a


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[1, 2]", "holds no architecture"),
        ('{"depth": 1, "heads": 1, "hidden": 1}', "'intermediate' is missing"),
        ('{"depth": 1, "heads": 1, "hidden": 1, "intermediate": 1, "width": 2}', "'width'"),
        ('{"depth": "1", "heads": 1, "hidden": 1, "intermediate": 1}', "depth is '1'"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        get_architecture(str(path))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "bort",
        "4-8-1024",
        "4-8-1024-768-1-1",
        "4-8-1024-pre",
        "4-8-1024-768-post",
        "a-b-c-d",
        "4-8-1024--7",
    ],
)
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match="bort_4_8_768_1024") as caught:
        get_architecture(name)
    assert caught.value.exit_status == 2
    assert repr(name) in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.json"):
        get_architecture("nowhere.json")


@pytest.mark.parametrize("length", [0, 513, -1])
def test_a_length_out_of_range_is_refused(length: int) -> None:
    with pytest.raises(InputError, match="1 to 512"):
        PRESETS["bort_4_8_768_1024"].multiply_adds_per_token(length)


@pytest.mark.parametrize("field", sorted(PRESETS["bort_4_8_768_1024"].as_dict()))
def test_sizes_have_upper_bounds(field: str) -> None:
    most = LARGEST_DEPTH if field == "depth" else LARGEST_SIZE
    hidden = most if field == "heads" else 1
    sizes = {**Architecture(1, 1, hidden, 1).as_dict(), field: most}
    assert Architecture.from_dict(sizes).as_dict()[field] == most
    for value in (most + 1, 2**63, 10**300):
        message = f"^architecture: {field} is {value}, allowed is at most {most}$"
        with pytest.raises(InputError, match=message):
            Architecture.from_dict({**sizes, field: value})


@pytest.mark.parametrize("name", ["9223372036854775808-2-2-2", "4-8-1024-" + "9" * 5000, "²-1-1-1"])
def test_absurd_names_of_architectures_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="^architecture: "):
        get_architecture(name)


def test_an_error_in_a_file_names_the_file_once(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"depth": 9223372036854775808, "heads": 1, "hidden": 1, "intermediate": 1}')
    with pytest.raises(InputError, match=r"a\.json: depth is 9223372036854775808"):
        get_architecture(str(path))
    path.write_text("{}")
    with pytest.raises(InputError, match=f"^{path}: field 'depth' is missing$"):
        get_architecture(str(path))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((5, 564, 1054, 8, 512), 29_573_882),
        ((4, 396, 624, 6, 384), 16_874_724),
        ((4, 432, 384, 4, 256), 16_707_024),
        ((3, 320, 608, 4, 256), 12_195_168),
        ((5, 564, 1024, 12, 528), 29_585_252),
        ((5, 324, 600, 12, 324), 14_222_712),
        ((5, 280, 512, 12, 276), 11_763_620),
        ((4, 256, 480, 12, 192), 9_791_360),
        ((12, 768, 3072, 12, 768), 109_482_240),
    ],
)
def test_published_sub_networks_have_their_counts(sizes: Any, expected: int) -> None:
    depth, hidden, intermediate, heads, qkv = sizes
    one = Architecture(
        depth, heads, hidden, intermediate, vocabulary_size=30522, token_types=2, qkv=qkv
    )
    assert one.parameter_count(pooler=True) == expected


@pytest.mark.parity("torch", "transformers")
@pytest.mark.parametrize("preset", ["bert_12_768_12", "tinybert_4"])
def test_transformers_counts_alike(preset: str) -> None:
    import torch
    import transformers

    sizes = PRESETS[preset]
    config = transformers.BertConfig(
        vocab_size=sizes.vocabulary_size,
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.depth,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.intermediate,
        max_position_embeddings=sizes.maximum_length,
        type_vocab_size=sizes.token_types,
    )
    with torch.device("meta"):
        model = transformers.BertModel(config)
    assert model.num_parameters() == sizes.parameter_count(pooler=True)
