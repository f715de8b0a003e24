"""Tests of what the files of a tokenizer folder say, and which of them counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional

import pytest

from bort.errors import InputError
from bort.text.tokenizer_folder import (
    AS_IT_IS,
    BERT,
    CAMEMBERT,
    DISTILBERT,
    ROBERTA,
    XLM_ROBERTA,
    AddedToken,
    read_tokenizer_folder,
)
from tests.text.hugging_face_folders import bert_folder, remove, write_json_file


@pytest.mark.parametrize(
    ("in_settings", "config", "file", "expected"),
    [
        ("BertTokenizerFast", {"model_type": "roberta"}, "vocab.txt", BERT),
        ("ElectraTokenizer", {}, "vocab.txt", BERT),
        ("DistilBertTokenizer", {"model_type": "bert"}, "vocab.txt", DISTILBERT),
        ("PreTrainedTokenizerFast", {"model_type": "bert"}, "tokenizer.json", AS_IT_IS),
        ("TokenizersBackend", {}, "tokenizer.json", AS_IT_IS),
        (
            None,
            {"model_type": "bert", "tokenizer_class": "RobertaTokenizer"},
            "vocab.json",
            ROBERTA,
        ),
        (None, {"model_type": "bert"}, "tokenizer.json", BERT),
        (None, {"model_type": "megatron-bert"}, "tokenizer.json", BERT),
        (None, {"model_type": "bert"}, "vocab.json", ROBERTA),
        (None, {"model_type": "xlm-roberta"}, "sentencepiece.bpe.model", XLM_ROBERTA),
        (None, {"model_type": "camembert"}, "tokenizer.json", CAMEMBERT),
        (None, {"model_type": ["bert"]}, "tokenizer.json", AS_IT_IS),
        (None, None, "tokenizer.json", AS_IT_IS),
        (None, None, "vocab.txt", BERT),
    ],
)
def test_the_class_of_a_folder(
    tmp_path: Path,
    in_settings: Optional[str],
    config: Optional[Dict[str, Any]],
    file: str,
    expected: str,
) -> None:
    if in_settings:
        write_json_file(tmp_path / "tokenizer_config.json", {"tokenizer_class": in_settings})
    if config is not None:
        write_json_file(tmp_path / "config.json", config)
    write_json_file(tmp_path / file, {})
    assert read_tokenizer_folder(tmp_path).class_name == expected
    assert read_tokenizer_folder(tmp_path, AS_IT_IS).class_name == AS_IT_IS
    with pytest.raises(InputError, match=r"vocabulary\.json: tokenizer_class is 'Other'"):
        read_tokenizer_folder(tmp_path, "Other")


def test_where_added_tokens_and_names_of_special_tokens_come_from(tmp_path: Path) -> None:
    folder = bert_folder(tmp_path, mask_token="<a>", extra_special_tokens=["<x>"])
    write_json_file(folder / "added_tokens.json", {"new": 101, "<x>": 100})
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), True)
    write_json_file(
        folder / "tokenizer.json", {"added_tokens": [{"id": 99, "content": "<b>", **flags}]}
    )
    write_json_file(folder / "special_tokens_map.json", {"mask_token": "<b>"})
    found = read_tokenizer_folder(folder)
    assert found.roles["mask_token"] == AddedToken("<b>", True, True, True, True, True)
    extra = AddedToken("<x>", False, False, False, False, True)
    new = AddedToken("new", False, False, False, True, False)
    assert found.declared == (found.roles["mask_token"], extra, new)
    assert found.extra == (extra,)
    # The list in tokenizer_config.json replaces all of these files.
    bert_folder(tmp_path, mask_token="<a>", added_tokens_decoder={"7": {"content": "<c>"}})
    found = read_tokenizer_folder(folder)
    assert found.roles["mask_token"] == AddedToken("<a>", False, False, False, False, True)
    assert found.declared == (AddedToken("<c>", False, False, False, True, False),)
    assert found.extra is None


def test_the_bytes_of_the_files_are_kept(tmp_path: Path) -> None:
    folder = bert_folder(tmp_path)
    (folder / "README.md").write_text("hello")
    found = read_tokenizer_folder(folder)
    assert sorted(found.files) == ["tokenizer_config.json", "vocab.txt"]
    assert all(found.files[name] == (folder / name).read_bytes() for name in found.files)
    assert found.tokens_path == folder / "vocab.txt"
    remove(folder, "vocab.txt", "tokenizer_config.json")
    assert read_tokenizer_folder(folder).tokens_path == folder
