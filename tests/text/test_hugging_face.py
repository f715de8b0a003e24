"""Vocabularies of Hugging Face folders give the ids, forms and files of Transformers."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings

from bort.errors import InputError
from bort.formats.huggingface.tokenizer import write_tokenizer
from bort.text.byte_bpe_files import read_byte_bpe
from bort.text.fast_tokenizer import FastTokenizer
from bort.text.vocabularies import load_vocabulary
from bort.text.wordpiece import wordpiece_vocabulary
from tests.formats.huggingface.hard_texts import hard_texts, without_surrogates
from tests.text.hugging_face_folders import (
    HARD,
    MERGES,
    PIECES,
    bert_folder,
    remove,
    roberta_folder,
    saved_by_transformers,
    sentencepiece_folder,
    write_json_file,
)

ENT: Dict[str, Any] = {
    **{"content": "ent", "lstrip": True, "rstrip": False, "single_word": True},
    **{"normalized": True, "special": False},
}


def _alone(folder: Path) -> Path:
    saved_by_transformers(folder, ["möchtest", "<new>"])
    return remove(folder, "tokenizer_config.json")


def _megatron(folder: Path) -> Path:
    write_json_file(_alone(bert_folder(folder)) / "config.json", {"model_type": "megatron-bert"})
    return folder


def _mapped(folder: Path) -> Path:
    bert_folder(folder)
    names = {"mask_token": "rain", "cls_token": {"content": "cat", "lstrip": False}}
    write_json_file(folder / "special_tokens_map.json", names)
    return folder


def _added(folder: Path) -> Path:
    write_json_file(folder / "added_tokens.json", {"<ent>": len(load_vocabulary(folder))})
    return folder


def _backend(folder: Path) -> Path:
    """A tokenizer.json with steps of its own, and with truncation and padding."""
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, processors

    folder.mkdir()
    vocab = {piece: number for number, piece in enumerate(PIECES)}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=True)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.add_special_tokens(PIECES[:5])
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=20)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), PIECES))
    write_json_file(folder / "tokenizer_config.json", {**roles, **_TYPED})
    write_json_file(folder / "config.json", {"model_type": "bert"})
    return folder


_TYPED = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
}
XLM, CAMEMBERT = "xlm-roberta", "camembert"
FOLDERS: Dict[str, Callable[[Path], Path]] = {
    "bert": bert_folder,
    "bert, cased": lambda folder: bert_folder(folder, do_lower_case=False),
    "bert, accents stay": lambda folder: bert_folder(folder, strip_accents=False),
    "bert, accents go": lambda f: bert_folder(f, do_lower_case=False, strip_accents=True),
    "bert, no chinese": lambda folder: bert_folder(folder, tokenize_chinese_chars=False),
    "bert, added_tokens.json": lambda folder: _added(bert_folder(folder)),
    "bert, decoder": lambda f: bert_folder(f, added_tokens_decoder={str(len(PIECES)): ENT}),
    "bert, extra": lambda folder: bert_folder(folder, additional_special_tokens=["<new>"]),
    "bert, own names": _mapped,
    "bert, distilled": lambda f: bert_folder(f, tokenizer_class="DistilBertTokenizer"),
    "bert, no types": lambda f: bert_folder(f, model_input_names=["input_ids"]),
    "bert, saved": lambda folder: saved_by_transformers(bert_folder(folder), ["möchtest"]),
    "bert, alone": lambda folder: _alone(bert_folder(folder)),
    "megatron-bert, alone": _megatron,
    "bert, cased, alone": lambda folder: _alone(bert_folder(folder, do_lower_case=False)),
    "roberta": roberta_folder,
    "roberta, prefix": lambda folder: roberta_folder(folder, add_prefix_space=True),
    "roberta, odd merges": lambda folder: roberta_folder(folder, ["h e", "t h", "th e"]),
    "roberta, added_tokens.json": lambda folder: _added(roberta_folder(folder)),
    "roberta, alone": lambda folder: _alone(roberta_folder(folder)),
    "xlm": lambda folder: sentencepiece_folder(folder, XLM),
    "xlm, saved": lambda f: saved_by_transformers(sentencepiece_folder(f, XLM), ["<new>"]),
    "camembert": lambda folder: sentencepiece_folder(folder, CAMEMBERT),
    "camembert, saved": lambda f: saved_by_transformers(sentencepiece_folder(f, CAMEMBERT), []),
    "own steps": _backend,
}
needs_transformers = pytest.mark.parity("tokenizers", "transformers")


class Pair(Tuple[Any, Any, Path]):
    """Our vocabulary, Transformers' tokenizer, and their folder; shown by its kind in a failure."""

    kind: str

    def __repr__(self) -> str:
        return self.kind


@pytest.fixture(scope="module", params=sorted(FOLDERS))
def both(request: Any, tmp_path_factory: Any) -> Pair:
    import transformers

    transformers.logging.set_verbosity_error()
    folder = FOLDERS[request.param](tmp_path_factory.mktemp("folders") / "f")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), split_special_tokens=True)
    pair = Pair((load_vocabulary(folder), tokenizer, folder))
    pair.kind = request.param
    return pair


def theirs(tokenizer: Any, text: str) -> List[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


@needs_transformers
@given(text=HARD | hard_texts())
@example(text="The MÖCHTE raining, 北京 ent <ent> <new> möchtest e\u0301\u0345")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ids_are_those_of_transformers(both: Pair, text: str) -> None:
    vocabulary, tokenizer, _ = both
    text = without_surrogates(text)
    special = {vocabulary.token_of(i) for i in vocabulary.special_ids} - {""}
    if not any(name in text for name in special):
        assert vocabulary.encode(text) == theirs(tokenizer, text)


@needs_transformers
def test_roles_size_and_forms_are_those_of_transformers(both: Pair) -> None:
    vocabulary, tokenizer, _ = both
    assert len(vocabulary) == len(tokenizer)
    roles = (vocabulary.pad_id, vocabulary.unk_id, vocabulary.mask_id)
    assert roles == (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.mask_token_id)
    first, second = vocabulary.encode("the"), vocabulary.encode("in")
    bos, eos = vocabulary.bos_id, vocabulary.eos_id
    assert tokenizer("the")["input_ids"] == [bos, *first, eos]
    pair = tokenizer("the", "in")
    head = [bos, *first, *[eos] * vocabulary.pair_separators]
    assert pair["input_ids"] == [*head, *second, eos]
    types = [0] * len(head) + [vocabulary.pair_second_type] * (len(second) + 1)
    assert pair.get("token_type_ids", [0] * len(types)) == types
    assert vocabulary.pair_recorded


@needs_transformers
def test_no_text_gives_a_special_token(both: Pair) -> None:
    vocabulary, _, _ = both
    names = [vocabulary.token_of(number) for number in range(len(vocabulary))]
    special = [name for number, name in enumerate(names) if number in vocabulary.special_ids]
    for text in (" ".join(names), "".join(special), *special):
        found = set(vocabulary.encode(text)) & set(vocabulary.special_ids)
        assert found <= {vocabulary.unk_id}


@needs_transformers
def test_a_round_trip_changes_nothing(both: Pair, tmp_path: Path) -> None:
    import transformers

    vocabulary, tokenizer, folder = both
    vocabulary.save(tmp_path / "saved")
    saved = load_vocabulary(tmp_path / "saved")
    write_tokenizer(tmp_path / "exported", saved, 64)
    write_json_file(tmp_path / "exported" / "config.json", {"model_type": "bert"})
    exported = load_vocabulary(tmp_path / "exported")
    again = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "exported"))
    original = transformers.AutoTokenizer.from_pretrained(str(folder))
    texts = ["The raining möchte 北京", "<mask> [MASK] ent <ent>", "", "it's\u00a0 a\n😀"]
    assert saved.fingerprint == exported.fingerprint == vocabulary.fingerprint
    for one in (saved, exported, pickle.loads(pickle.dumps(vocabulary))):
        assert one.encode_batch(texts) == vocabulary.encode_batch(texts)
        assert (one.pair_separators, one.pair_second_type) == (
            vocabulary.pair_separators,
            vocabulary.pair_second_type,
        )
    for text in texts:
        assert dict(again(text, "the")) == dict(original(text, "the"))
    path = folder / "tokenizer.json"
    if path.exists():
        assert (tmp_path / "exported" / "tokenizer.json").read_bytes() == path.read_bytes()


@needs_transformers
@given(text=HARD)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_arrays_agree_with_lists(both: Pair, text: str) -> None:
    vocabulary, _, _ = both
    texts = [text, "", "the rain"]
    for space in (False, True):
        flat, counts = vocabulary.encode_flat(texts, space_in_front=space)
        rows = np.split(flat, np.cumsum(counts)[:-1])
        expected = [vocabulary.encode(" " * space + one) for one in texts]
        assert [row.tolist() for row in rows] == expected
    spaced = np.array(vocabulary.encode(f" {text}"))
    assert vocabulary.drop_space(text, spaced).tolist() == vocabulary.encode(text)
    starts = (vocabulary.starts_word, vocabulary.starts_character)
    assert all(array.shape == (len(vocabulary),) for array in starts)


def test_plain_vocabularies_keep_the_fingerprints_of_version_0_2_0(tmp_path: Path) -> None:
    import hashlib

    for lower_case in (True, False):
        found = load_vocabulary(bert_folder(tmp_path / str(lower_case), do_lower_case=lower_case))
        content = "\n".join(("wordpiece", str(lower_case), *PIECES)).encode()
        assert found.fingerprint == hashlib.sha256(content).hexdigest()
        assert found.fingerprint == wordpiece_vocabulary(PIECES, lower_case, "x").fingerprint
    plain = roberta_folder(tmp_path / "plain")
    assert load_vocabulary(plain).fingerprint == read_byte_bpe(plain).fingerprint
    others = [
        bert_folder(tmp_path / "a", strip_accents=False),
        bert_folder(tmp_path / "b", tokenize_chinese_chars=False),
        bert_folder(tmp_path / "c", added_tokens_decoder={str(len(PIECES)): ENT}),
        roberta_folder(tmp_path / "d", add_prefix_space=True),
        _added(roberta_folder(tmp_path / "e")),
    ]
    prints = {load_vocabulary(folder).fingerprint for folder in others}
    assert len(prints) == len(others)
    assert load_vocabulary(plain).fingerprint not in prints


def test_the_settings_cases(tmp_path: Path) -> None:
    def shown(folder: Path, text: str) -> List[str]:
        vocabulary = load_vocabulary(folder)
        return [vocabulary.token_of(number) for number in vocabulary.encode(text)]

    assert shown(bert_folder(tmp_path / "a", strip_accents=False), "Möchte") == ["möchte"]
    assert shown(bert_folder(tmp_path / "b"), "Möchte") == ["mochte"]
    chinese = bert_folder(tmp_path / "c", tokenize_chinese_chars=False)
    assert shown(chinese, "北京") == ["北", "##京"]
    assert shown(roberta_folder(tmp_path / "d", add_prefix_space=True), "the") == ["Ġthe"]
    decoder = bert_folder(tmp_path / "e", added_tokens_decoder={str(len(PIECES)): ENT})
    assert shown(decoder, "the ent, entrain") == ["the", "ent", ",", "e", "##n", "##t", *_RAIN]


_RAIN = ["##r", "##a", "##i", "##n"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"tokenizer_class": "BertJapaneseTokenizer"},
            "tokenizer_class is 'BertJapaneseTokenizer'",
        ),
        ({"tokenizer_class": 5}, "tokenizer_class is 5"),
        ({"tokenizer_class": "GPT2Tokenizer"}, "the special token cls_token is missing"),
        ({"tokenizer_class": "PreTrainedTokenizerFast"}, r"tokenizer\.json: is missing"),
        ({"do_lower_case": 1}, "do_lower_case is 1, allowed are true and false"),
        ({"strip_accents": "no"}, "strip_accents is 'no'"),
        ({"mask_token": None}, "the special token mask_token is missing"),
        ({"mask_token": "[OTHER]"}, r"the special token \[OTHER\] is missing"),
        ({"mask_token": 5}, "mask_token is '5', allowed is a token with its content"),
        ({"mask_token": {"content": "rain", "lstrip": 1}}, "lstrip is 1"),
        ({"added_tokens_decoder": {"x": {}}}, "'x' is no id of a token"),
        ({"added_tokens_decoder": {"9": {}}}, "allowed is a token with its content"),
        ({"added_tokens_decoder": []}, "allowed is an object"),
        ({"extra_special_tokens": 5}, "extra_special_tokens is 5, allowed is a list"),
        ({"model_input_names": 5}, "model_input_names is '5', allowed is a list"),
    ],
)
def test_settings_that_cannot_be_followed_are_named(
    tmp_path: Path, change: Dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_vocabulary(bert_folder(tmp_path, **change))
    assert "\n" not in str(caught.value)


def test_a_byte_bpe_without_the_roles_names_the_missing_one(tmp_path: Path) -> None:
    folder = roberta_folder(tmp_path)
    path = folder / "vocab.json"
    names = json.loads(path.read_text(encoding="utf-8"))
    write_json_file(path, {name: i for i, name in enumerate(n for n in names if n != "<mask>")})
    with pytest.raises(InputError, match="the special token <mask> is missing"):
        load_vocabulary(folder)


def test_lost_merges_are_named_in_every_format(tmp_path: Path) -> None:
    folder = roberta_folder(tmp_path)
    lost = "2 tokens of the vocabulary are made by no merge, such as 'Ġr'"
    for kept in (MERGES[:4], []):
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *kept]), encoding="utf-8")
        with pytest.raises(InputError, match="are made by no merge"):
            load_vocabulary(folder)
    names = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    content: Dict[str, Any] = {
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
        "model": {"type": "BPE", "vocab": names, "merges": [*MERGES[:4], "a in"]},
    }
    write_json_file(folder / "tokenizer.json", content)
    with pytest.raises(InputError, match=lost):
        load_vocabulary(folder)
    remove(folder, "vocab.json", "tokenizer.json", "merges.txt")
    write_json_file(folder / "encoder.json", {name: i for i, name in enumerate(names)})
    (folder / "vocab.bpe").write_text("\n".join(MERGES[:4]), encoding="utf-8")
    (folder / "dict.txt").write_text("100 1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"encoder\.json: \d+ tokens of the vocabulary"):
        load_vocabulary(folder)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    for folder in (_added(bert_folder(tmp_path / "b")), _added(roberta_folder(tmp_path / "r"))):
        before = load_vocabulary(folder)
        for path in folder.iterdir():
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert load_vocabulary(folder).fingerprint == before.fingerprint


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("normalizer",), {"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        (("normalizer",), {"type": "Precompiled", "precompiled_charsmap": 5}),
        (("post_processor", "special_tokens"), {}),
        (("post_processor", "pair"), [{"SpecialToken": {"id": ["x"], "type_id": 0}}]),
        (("post_processor", "pair"), [{"Sequence": {"id": "A", "type_id": 0}}]),
        (("model", "dropout"), 0.5),
        (("model", "vocab"), 5),
        (("model", "vocab"), {}),
        (("model", "vocab", "the"), 2**40),
        (("model", "vocab", "the"), 3),
        (("model",), None),
    ],
)
def test_a_damaged_tokenizer_json_is_one_line_and_no_panic(
    tmp_path: Path, capfd: Any, place: Tuple[str, ...], value: Any
) -> None:
    first, _ = bert_folder(tmp_path / "a"), (tmp_path / "b").mkdir()
    content = dict(load_vocabulary(first).content)  # type: ignore[attr-defined]
    part = content
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    write_json_file(tmp_path / "b" / "tokenizer.json", content)
    with pytest.raises(InputError, match=r"tokenizer\.json: ") as caught:
        load_vocabulary(tmp_path / "b")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b"\xff{}", b"5", b"{", b""])
@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "added_tokens.json"])
def test_files_that_are_no_json_object_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    (bert_folder(tmp_path) / name).write_bytes(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        load_vocabulary(tmp_path)


def test_a_panic_of_the_package_is_an_input_error(tmp_path: Path) -> None:
    vocabulary = load_vocabulary(bert_folder(tmp_path))
    assert isinstance(vocabulary, FastTokenizer)
    panic = type("PanicException", (BaseException,), {})

    class Panics:
        def encode(self, text: str, add_special_tokens: bool) -> None:
            raise panic("index out of\nbounds")

    class Stops:
        def encode(self, text: str, add_special_tokens: bool) -> None:
            raise KeyboardInterrupt

    vocabulary._tokenizer = Panics()
    with pytest.raises(InputError, match="index out of bounds"):
        vocabulary.encode("the")
    vocabulary._tokenizer = Stops()
    with pytest.raises(KeyboardInterrupt):
        vocabulary.encode("the")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "vocabulary.json"])
def test_a_folder_or_a_broken_link_in_place_of_a_file_is_not_passed_over(
    tmp_path: Path, name: str
) -> None:
    for number, make in enumerate((Path.mkdir, lambda path: path.symlink_to("nowhere"))):
        folder = bert_folder(tmp_path / str(number))
        if (folder / name).exists():
            (folder / name).unlink()
        make(folder / name)
        with pytest.raises(InputError, match=f"{name}: cannot be read"):
            load_vocabulary(folder)
