"""Settings of sentence-transformers: every form is read, and what is not supported is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from hypothesis import given

from bort.engines.sources import read_source
from bort.errors import InputError
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.sentence_transformers import (
    read_sentence_folder,
    write_sentence_files,
)
from bort.formats.huggingface.writer import write_huggingface
from bort.network.embedding import EmbeddingDescription
from bort.storage.files import new_folder
from tests.formats.huggingface.sentence_folders import (
    NEW_TYPES,
    OLD_TYPES,
    edit,
    flags,
    modules,
    sentence_folder,
    write,
)
from tests.formats.parity import make_network
from tests.network.test_embedding import embeddings


def embedding_of(folder: Path) -> EmbeddingDescription:
    embedding = read_huggingface(folder).network.description.embedding
    assert embedding is not None
    return embedding


def test_a_folder_without_modules_says_nothing(tmp_path: Path) -> None:
    write_huggingface(tmp_path, make_network(), None)
    assert read_sentence_folder(tmp_path) == (tmp_path, None, "")
    assert read_huggingface(tmp_path).network.description.embedding is None


def test_settings_without_modules_are_mentioned(tmp_path: Path, caplog: Any) -> None:
    folder = sentence_folder(tmp_path / "m", length={"max_seq_length": 16})
    (folder / "modules.json").unlink()
    assert read_huggingface(folder).network.description.embedding is None
    (line,) = caplog.messages
    assert line.endswith("1_Pooling/config.json: is not used, because modules.json is missing")


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        (flags("cls_token"), "cls"),
        (flags("mean_tokens"), "mean"),
        (flags("max_tokens"), "max"),
        (flags("mean_sqrt_len_tokens"), "mean_sqrt_len_tokens"),
        (flags("weightedmean_tokens"), "weightedmean"),
        (flags("lasttoken"), "lasttoken"),
        (flags(), "mean"),
        ({}, "mean"),
        ({"pooling_mode": "max"}, "max"),
        ({"pooling_mode": ["cls"]}, "cls"),
        ({"pooling_mode": "lasttoken", **flags("cls_token")}, "lasttoken"),
    ],
)
def test_every_form_of_a_pooling(pooling: Any, expected: str, tmp_path: Path) -> None:
    found = embedding_of(sentence_folder(tmp_path / "m", pooling, types=OLD_TYPES[:2]))
    assert found == EmbeddingDescription(pooling=expected)


@pytest.mark.parametrize("types", [OLD_TYPES, NEW_TYPES])
@pytest.mark.parametrize("transformer", ["", "0_Transformer"])
def test_the_transformer_is_in_the_folder_or_inside_it(
    types: Any, transformer: str, tmp_path: Path
) -> None:
    folder = sentence_folder(
        tmp_path / "m",
        transformer=transformer,
        types=types,
        length={"max_seq_length": 16, "do_lower_case": True},
    )
    assert read_huggingface(folder).folder == folder / transformer
    source = read_source(folder)
    assert source.vocabulary_folder == folder / transformer
    assert source.description.embedding == EmbeddingDescription(
        normalise=True, max_length=16, lower_case=True
    )


@pytest.mark.parametrize(
    ("length", "limit", "expected"),
    [
        ({"max_seq_length": 16}, 12, 16),
        ({"max_seq_length": None}, 12, 12),
        ({"do_lower_case": False}, 12, 12),
        (None, 12, 12),
        (None, 10**30, None),
        (None, ..., None),
        ({"max_seq_length": 512}, ..., None),  # the model itself takes 40 tokens
        (
            {
                "transformer_task": "feature-extraction",
                "modality_config": {"text": {"method": "forward"}},
                "module_output_name": "token_embeddings",
            },
            12,
            12,
        ),
    ],
)
def test_the_maximum_length_of_old_and_new_folders(
    length: Any, limit: Any, expected: Any, tmp_path: Path
) -> None:
    folder = sentence_folder(tmp_path / "m", length=length)
    edit(folder / "tokenizer_config.json", model_max_length=limit)
    assert embedding_of(folder).max_length == expected


def test_the_length_has_other_names_in_old_folders(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "m", transformer="0_RoBERTa")
    write(folder / "0_RoBERTa" / "sentence_roberta_config.json", {"max_seq_length": 11})
    assert embedding_of(folder).max_length == 11


def test_prompts_are_read(tmp_path: Path) -> None:
    general = {
        "model_type": "SentenceTransformer",
        "prompts": {"query": "find: ", "document": "", "none": None},
        "default_prompt_name": "query",
        "similarity_fn_name": "dot",
    }
    found = embedding_of(sentence_folder(tmp_path / "m", general=general))
    assert found.prompts == {"query": "find: ", "document": ""}
    assert (found.prompt, found.similarity) == ("find: ", "dot")


@given(embeddings())
def test_there_and_back(embedding: EmbeddingDescription) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        with new_folder(Path(name) / "m") as folder:
            write_sentence_files(folder, embedding, 64)
        assert read_sentence_folder(Path(name) / "m").embedding == embedding


def change(name: str, **fields: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / name, **fields)


def replace(name: str, content: Any) -> Callable[[Path], None]:
    return lambda folder: write(folder / name, content)


def third(kind: str, path: str = "2_X") -> Any:
    return [*modules(OLD_TYPES[:2]), {"idx": 2, "name": "2", "path": path, "type": kind}]


BAD: Any = {
    "no list": (replace("modules.json", {}), "modules.json: is not a list of modules"),
    "no object": (replace("modules.json", ["x"]), "modules.json: [0] is 'x', allowed is an object"),
    "no type": (replace("modules.json", [{"path": ""}]), "modules.json: [0].type is missing"),
    "no modules": (replace("modules.json", []), "the modules are none, allowed are Transformer, P"),
    "no pooling": (
        replace("modules.json", modules(OLD_TYPES[:1])),
        "modules.json: the modules are Transformer, allowed are Transformer, Pooling, Normalize or",
    ),
    "dense": (
        replace("modules.json", third("sentence_transformers.models.Dense", "2_Dense")),
        "modules.json: the module '2_Dense' is 'sentence_transformers.models.Dense', allowed are",
    ),
    "own code": (replace("modules.json", third("custom.Pooling")), "is 'custom.Pooling', allowed"),
    "twice": (
        replace("modules.json", third("sentence_transformers.models.Pooling")),
        "the modules are Transformer, Pooling, Pooling, allowed",
    ),
    "outside": (
        replace("modules.json", modules(OLD_TYPES, "../m")),
        "modules.json: the path '../m' leads out of the folder",
    ),
    "absolute": (replace("modules.json", modules(OLD_TYPES, "/m")), "the path '/m' leads out"),
    "no path": (replace("modules.json", modules(OLD_TYPES, "a\0b")), "leads out of the folder"),
    "empty place": (
        replace("modules.json", modules(OLD_TYPES, "0_None")),
        "0_None/config.json: is missing",
    ),
    "lost pooling": (
        lambda folder: (folder / "1_Pooling" / "config.json").unlink(),
        "1_Pooling/config.json: is missing",
    ),
    "two poolings": (
        change("1_Pooling/config.json", pooling_mode_cls_token=True),
        "1_Pooling/config.json: pooling_mode is cls and mean, allowed is one of mean, cls, max",
    ),
    "list of two": (
        change("1_Pooling/config.json", pooling_mode=["max", "mean"]),
        "pooling_mode is max and mean, allowed",
    ),
    "other pooling": (
        change("1_Pooling/config.json", pooling_mode="attention"),
        "pooling_mode is attention, allowed is one of",
    ),
    "unknown flag": (
        change("1_Pooling/config.json", pooling_mode_attention=True),
        "1_Pooling/config.json: pooling_mode_attention is not known",
    ),
    "flag of text": (
        change("1_Pooling/config.json", pooling_mode_cls_token="yes"),
        "pooling_mode_cls_token is 'yes', allowed is true or false",
    ),
    "normalised tokens": (
        replace("2_Normalize/config.json", {"module_input_name": "token_embeddings"}),
        "2_Normalize/config.json: module_input_name is 'token_embeddings', allowed",
    ),
    "no length": (
        change("sentence_bert_config.json", max_seq_length=0),
        "sentence_bert_config.json: max_seq_length is 0, allowed is at least 1",
    ),
    "length of text": (
        change("sentence_bert_config.json", max_seq_length="16"),
        "sentence_bert_config.json: max_seq_length is '16', allowed is an integer",
    ),
    "lower case": (
        change("sentence_bert_config.json", do_lower_case="no"),
        "sentence_bert_config.json: do_lower_case is 'no', allowed is true or false",
    ),
    "other arguments": (
        change("sentence_bert_config.json", tokenizer_args={"use_fast": False}),
        "sentence_bert_config.json: tokenizer_args is {'use_fast': False}, allowed: none",
    ),
    "other task": (
        change("sentence_bert_config.json", transformer_task="fill-mask"),
        "transformer_task is 'fill-mask', allowed: 'feature-extraction'",
    ),
    "other kind": (
        change("config_sentence_transformers.json", model_type="SparseEncoder"),
        "config_sentence_transformers.json: model_type is 'SparseEncoder', allowed are Sentence",
    ),
    "unknown prompt": (
        change("config_sentence_transformers.json", default_prompt_name="q"),
        "config_sentence_transformers.json: default_prompt_name is 'q', allowed: none",
    ),
    "prompt of a number": (
        change("config_sentence_transformers.json", prompts={"q": 1}),
        "config_sentence_transformers.json: prompts.q is 1, allowed is a text",
    ),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_what_is_not_supported_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    spoil, message = BAD[name]
    folder = sentence_folder(tmp_path / "m", length={"max_seq_length": 16}, general={})
    spoil(folder)
    with pytest.raises(InputError) as caught:
        read_huggingface(folder)
    assert message in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def cross_encoder(folder: Path, **general: Any) -> Path:
    write_huggingface(folder, make_network(head="release", num_classes=1), None)
    (folder / "bort.json").unlink()
    write(folder / "modules.json", modules(NEW_TYPES[:1]))
    write(
        folder / "config_sentence_transformers.json",
        {"model_type": "CrossEncoder", "default_prompt_name": None, **general},
    )
    return folder


def test_a_cross_encoder_is_a_classifier(tmp_path: Path, caplog: Any) -> None:
    folder = cross_encoder(tmp_path, activation_fn="torch.nn.modules.linear.Identity")
    description = read_huggingface(folder).network.description
    assert (description.purpose, description.embedding) == ("classifier", None)
    assert caplog.messages == []
    edit(folder / "config_sentence_transformers.json", default_prompt_name="query")
    with pytest.raises(InputError, match="default_prompt_name is 'query', allowed is null"):
        read_huggingface(folder)


@pytest.mark.parametrize("place", ["general", "config", "old config"])
def test_the_function_of_a_cross_encoder_is_mentioned(
    place: str, tmp_path: Path, caplog: Any
) -> None:
    name = "torch.nn.modules.activation.Sigmoid"
    folder = cross_encoder(tmp_path, **({"activation_fn": name} if place == "general" else {}))
    if place == "config":
        edit(folder / "config.json", sentence_transformers={"activation_fn": name})
    if place == "old config":
        edit(folder / "config.json", sbert_ce_default_activation_function=name)
    read_huggingface(folder)
    (line,) = caplog.messages
    assert line.endswith(f"config.json: answers are computed from the outputs before {name}")


def test_an_export_keeps_the_settings_and_notices_a_change(tmp_path: Path) -> None:
    embedding = EmbeddingDescription("max", True, 16, prompts={"q": "x "})
    network = make_network(embedding=embedding)
    write_huggingface(tmp_path, network, None)
    assert read_huggingface(tmp_path).network.description == network.description
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "library_name: sentence-transformers\npipeline_tag: sentence-similarity\n" in card
    pooling = json.loads((tmp_path / "1_Pooling" / "config.json").read_text())
    assert pooling["word_embedding_dimension"] == 64
    edit(tmp_path / "1_Pooling" / "config.json", pooling_mode_max_tokens=False)
    with pytest.raises(
        InputError, match="the settings of embeddings were changed after the export"
    ):
        read_huggingface(tmp_path)
    (tmp_path / "bort.json").unlink()
    assert embedding_of(tmp_path).pooling == "mean"
