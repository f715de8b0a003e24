"""`config.json`: every field that changes the computation is read or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from bort.errors import InputError
from bort.formats.huggingface.config import OTHER_HEAD, read_config
from bort.network.description import CLASSIFIER, ENCODER, MASKED_LM, QUESTION_ANSWERING

FIELDS: Dict[str, Any] = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "vocab_size": 211,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
}
SIZES = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    *("intermediate_size", "max_position_embeddings", "type_vocab_size"),
)


def write(folder: Path, **changes: Any) -> Path:
    fields = {k: v for k, v in {**FIELDS, **changes}.items() if v is not ...}
    (folder / "config.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder


def refusal(folder: Path, **changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_config(write(folder, **changes))
    message = str(caught.value)
    assert message.startswith(f"{folder / 'config.json'}: ")
    assert "\n" not in message
    assert len(message) < 600 + len(str(folder))
    return message


def test_defaults_are_those_of_transformers(tmp_path: Path) -> None:
    config = read_config(write(tmp_path))
    assert config.layer_norm_eps == 1e-12
    assert config.dropout == 0.1
    assert config.activation == "gelu"
    assert config.ties
    assert config.architecture.token_types == 2
    assert config.unused_positions == 0
    roberta = write(tmp_path, model_type="roberta", architectures=["RobertaModel"])
    assert read_config(roberta).unused_positions == 2


@pytest.mark.parametrize(
    ("name", "model_type", "kind"),
    [
        ("BertModel", "bert", ENCODER),
        ("BortForMaskedLM", "bert", MASKED_LM),
        ("BertForPreTraining", "bert", MASKED_LM),
        ("MegatronBertForMaskedLM", "bert", MASKED_LM),
        ("RobertaForSequenceClassification", "roberta", CLASSIFIER),
        ("XLMRobertaForMaskedLM", "roberta", MASKED_LM),
        ("CamembertForTokenClassification", "roberta", OTHER_HEAD),
        ("BertForQuestionAnswering", "bert", QUESTION_ANSWERING),
        ("RobertaForMultipleChoice", "roberta", OTHER_HEAD),
        ("BertForNextSentencePrediction", "bert", OTHER_HEAD),
    ],
)
def test_classes_tell_family_and_kind(
    name: str, model_type: str, kind: str, tmp_path: Path
) -> None:
    config = read_config(write(tmp_path, architectures=[name], model_type=...))
    assert (config.model_type, config.kind, config.class_name) == (model_type, kind, name)
    for other in ("xlm-roberta", "camembert", "roberta"):
        if model_type == "roberta":
            # These three have the same names of tensors and the same positions.
            assert read_config(write(tmp_path, architectures=[name], model_type=other)).kind == kind
        else:
            message = refusal(tmp_path, architectures=[name], model_type=other)
            assert f"architectures is ['{name}'], which does not fit model_type" in message


def test_a_megatron_bert_is_a_pre_norm_bert(tmp_path: Path) -> None:
    for given, norm in (("megatron-bert", "pre"), ("bert", "post"), ("roberta", "post")):
        config = read_config(write(tmp_path, model_type=given, architectures=...))
        assert config.architecture.norm == norm
        assert config.model_type == ("roberta" if given == "roberta" else "bert")


@pytest.mark.parametrize("nothing", [..., None, []])
def test_without_a_class_there_is_no_kind(nothing: Any, tmp_path: Path) -> None:
    assert read_config(write(tmp_path, architectures=nothing)).kind is None
    message = refusal(tmp_path, architectures=nothing, model_type=...)
    assert "model_type is None (architectures does not tell it either)" in message
    assert "allowed are bert, bort, megatron-bert, roberta, xlm-roberta, camembert" in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "distilbert"}, "model_type is 'distilbert', allowed are bert, bort, "),
        ({"model_type": "megatron-bert"}, "does not fit model_type 'megatron-bert'"),
        ({"architectures": ["MegatronBertModel"]}, "does not fit model_type 'bert'"),
        ({"model_type": "roberta-prelayernorm"}, "model_type is 'roberta-prelayernorm', allowed"),
        ({"model_type": 3}, "model_type is 3, allowed are"),
        ({"architectures": "BertModel"}, "architectures is 'BertModel', allowed is a list"),
        ({"architectures": [None]}, "architectures is [None]"),
        ({"architectures": ["BertModel", "BertForMaskedLM"]}, "allowed is a list with one name"),
        ({"architectures": ["BertLMHeadModel"]}, "architectures is ['BertLMHeadModel'], allowed"),
        ({"architectures": ["RobertaForCausalLM"]}, "architectures is ['RobertaForCausalLM']"),
        ({"architectures": ["JinaBertModel"]}, "architectures is ['JinaBertModel'], allowed"),
        ({"hidden_act": "mish"}, "hidden_act is 'mish', allowed are gelu, gelu_python"),
        ({"hidden_act": None}, "hidden_act is None, allowed are gelu"),
        ({"position_embedding_type": "relative_key"}, "allowed is 'absolute'"),
        ({"is_decoder": True}, "is_decoder is True, allowed is False"),
        ({"add_cross_attention": True}, "add_cross_attention is True, allowed is False"),
        ({"is_encoder_decoder": True}, "is_encoder_decoder is True, allowed is False"),
        ({"pruned_heads": {"1": [0]}}, "pruned_heads is {'1': [0]}, allowed is none"),
        ({"quantization_config": {"bits": 8}}, "quantization_config is {'bits': 8}, allowed is"),
        ({"auto_map": {"AutoModel": "a.B"}}, "the folder's own code is not run"),
        ({"adapters": {"adapters": {"a": "b"}}}, "adapters is {'a': 'b'}, allowed is none"),
        ({"per_layer_config": {"0": {}}}, "per_layer_config is"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no', allowed is true or false"),
        ({"layer_norm_eps": 0}, "layer_norm_eps is 0.0, allowed is above 0 to below 1"),
        ({"layer_norm_eps": None}, "layer_norm_eps is None, allowed is 0 to below 1"),
        ({"layer_norm_eps": True}, "layer_norm_eps is True"),
        ({"hidden_dropout_prob": 1}, "hidden_dropout_prob is 1, allowed is 0 to below 1"),
        ({"attention_probs_dropout_prob": "x"}, "attention_probs_dropout_prob is 'x'"),
        ({"num_attention_heads": 5}, "num_attention_heads is 5, which does not divide hidden_size"),
        ({"hidden_size": ...}, "hidden_size is missing"),
    ],
)
def test_other_values_are_refused_by_name(
    changes: Dict[str, Any], message: str, tmp_path: Path
) -> None:
    assert message in refusal(tmp_path, **changes)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [0, -1, 2**25, 2**63, 10**40, True, 2.0, "2", None, [2]])
def test_sizes_have_bounds(name: str, value: Any, tmp_path: Path) -> None:
    message = refusal(tmp_path, **{name: value})
    assert f": {name} is " in message
    assert "allowed is an integer from 1 to " in message


def test_what_changes_nothing_is_passed_over(tmp_path: Path) -> None:
    harmless = {
        "chunk_size_feed_forward": 64,
        "use_cache": True,
        "gradient_checkpointing": True,
        "initializer_range": 0.5,
        "torch_dtype": "float16",
        "transformers_version": "4.0",
        "directionality": "bidi",
        "pooler_fc_size": 768,
        "pruned_heads": {},
        "adapters": {"adapters": {}, "config_map": {}},
        "is_decoder": None,
        "auto_map": None,
    }
    plain = read_config(write(tmp_path))
    other = read_config(write(tmp_path, **harmless))
    assert other.architecture == plain.architecture
    assert other.layer_norm_eps == plain.layer_norm_eps


@pytest.mark.parametrize("pad_id", [-1, 64, None, True, "1"])
def test_the_padding_id_of_roberta_is_small(pad_id: Any, tmp_path: Path) -> None:
    roberta = {"model_type": "roberta", "architectures": ["RobertaModel"]}
    message = refusal(tmp_path, pad_token_id=pad_id, **roberta)
    assert "pad_token_id is" in message
    assert "allowed is 0 to 63" in message
