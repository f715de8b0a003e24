"""Folders that Transformers itself writes: the same outputs on every engine, and back again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import pytest
import safetensors.numpy

from bort.engines.choosing import installed_engines, open_network
from bort.errors import InputError
from bort.export.checks import answers_of
from bort.export.samples import Sample
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.reference import HuggingFaceReference
from bort.formats.huggingface.writer import write_huggingface
from bort.network.activations import FUNCTIONS
from bort.network.description import CLASSIFIER, ENCODER, MASKED_LM, QUESTION_ANSWERING
from tests.formats.parity import assert_equal_outputs, make_batch

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.parity("torch", "transformers")

SIZES: Dict[str, Any] = {
    "vocab_size": 211,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
    "initializer_range": 0.15,
}
FAMILIES = {
    "Bert": transformers.BertConfig,
    "MegatronBert": transformers.MegatronBertConfig,
    "Roberta": transformers.RobertaConfig,
    "XLMRoberta": transformers.XLMRobertaConfig,
    "Camembert": transformers.CamembertConfig,
}
OTHER_HEADS = ("ForTokenClassification", "ForMultipleChoice")
PURPOSES = {
    "Model": ENCODER,
    "ForMaskedLM": MASKED_LM,
    "ForPreTraining": MASKED_LM,
    "ForSequenceClassification": CLASSIFIER,
    "ForQuestionAnswering": QUESTION_ANSWERING,
    **dict.fromkeys((*OTHER_HEADS, "ForNextSentencePrediction"), ENCODER),
}
NORMS = ("LayerNorm", "layer_norm", ".ln.")
ONLY_BERT = ("ForPreTraining", "ForNextSentencePrediction")
CLASSES = [
    family + ending
    for family in FAMILIES
    for ending in PURPOSES
    if family.endswith("Bert") or ending not in ONLY_BERT
]


def split(name: str) -> Tuple[str, str]:
    """Return the family and the ending of the name of a class."""
    family = next(family for family in FAMILIES if name.startswith(family))
    return family, name[len(family) :]


def save(
    folder: Path, name: str, edit: Optional[Callable[[Any], None]] = None, **fields: Any
) -> Any:
    """Save a small random model of a class; return it."""
    family, _ = split(name)
    torch.manual_seed(0)
    config = FAMILIES[family](**{**SIZES, **fields})
    model = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for key, value in model.named_parameters():
            if key.endswith("bias") or any(norm in key for norm in NORMS):
                value += 0.1 * torch.randn_like(value)
    if edit is not None:
        edit(model)
    model.save_pretrained(str(folder))
    return model


def outputs_of(model: Any, purpose: str, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return logits, or the last hidden states of a model's encoder, zero at padding."""
    body = model if purpose != ENCODER else model.base_model
    with torch.no_grad():
        found = body(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))
    if purpose == ENCODER:
        return np.asarray(found.last_hidden_state.numpy()) * mask[:, :, None].astype(np.float32)
    if purpose == QUESTION_ANSWERING:
        return np.stack([found.start_logits.numpy(), found.end_logits.numpy()], axis=-1)
    logits = found.prediction_logits if "prediction_logits" in found else found.logits
    return np.asarray(logits.numpy())


def assert_same_outputs(folder: Path, model: Any, purpose: str) -> None:
    """Compare the reference and every engine with Transformers, on a padded batch."""
    ids, lengths, mask = make_batch()
    ids[ids == 1] = 7  # RoBERTa gives padding ids inside a text other positions
    theirs = outputs_of(model, purpose, ids, mask)
    network = read_huggingface(folder).network
    assert network.description.purpose == purpose
    reference = HuggingFaceReference(folder)(ids, lengths, purpose)
    assert_equal_outputs(reference.astype(np.float32), theirs, mask)
    for engine in installed_engines():
        ours = answers_of(open_network(network, engine), Sample((), ids, lengths))
        assert_equal_outputs(ours, theirs, mask)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_gives_its_own_outputs(name: str, tmp_path: Path) -> None:
    purpose = PURPOSES[split(name)[1]]
    fields = {"num_labels": 3} if purpose == CLASSIFIER else {}
    model = save(tmp_path, name, **fields)
    assert_same_outputs(tmp_path, model, purpose)
    left_out = read_huggingface(tmp_path).left_out
    heads = ("classifier.", "cls.seq_relationship.")
    if split(name)[1] in (*OTHER_HEADS, *ONLY_BERT):
        assert left_out
        assert all(key.startswith(heads) for key in left_out)
    else:
        assert left_out == ()


@pytest.mark.parametrize("name", CLASSES)
def test_an_export_of_an_import_gives_the_same_outputs(name: str, tmp_path: Path) -> None:
    purpose = PURPOSES[split(name)[1]]
    labels: Dict[str, Any] = {}
    if purpose == CLASSIFIER:
        labels["id2label"] = {0: "no", 1: "yes", 2: "maybe"}
        labels["label2id"] = {"maybe": 2, "no": 0, "yes": 1}
    source, target = tmp_path / "source", tmp_path / "target"
    model = save(source, name, layer_norm_eps=1e-6, classifier_dropout=0.25, **labels)
    target.mkdir()
    write_huggingface(target, read_huggingface(source).network, None)
    again = transformers.AutoConfig.from_pretrained(str(target))
    kind = getattr(transformers, again.architectures[0])
    ids, _, mask = make_batch()
    ids[ids == 1] = 7
    theirs = outputs_of(model, purpose, ids, mask)
    exported = kind.from_pretrained(str(target)).eval()
    assert_equal_outputs(outputs_of(exported, purpose, ids, mask), theirs, mask)
    for field in ("layer_norm_eps", "hidden_act", "hidden_size", "vocab_size"):
        assert getattr(again, field) == getattr(model.config, field)
    if purpose == CLASSIFIER:
        assert again.id2label == model.config.id2label
        assert again.classifier_dropout == 0.25


@pytest.mark.parametrize("name", ["BertForMaskedLM", "RobertaForSequenceClassification"])
def test_types_of_numbers_and_shards_are_read(name: str, tmp_path: Path) -> None:
    purpose = PURPOSES[split(name)[1]]
    types = {"F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
    for stored_as, dtype in types.items():
        folder = tmp_path / stored_as
        model = save(folder, name)
        (folder / "model.safetensors").unlink()
        model.to(dtype).save_pretrained(str(folder), max_shard_size="20KB")
        assert len(list(folder.glob("model-*.safetensors"))) > 1
        imported = read_huggingface(folder)
        assert imported.converted == (stored_as,)
        assert_same_outputs(folder, model.to(torch.float32), purpose)


def test_an_epsilon_that_is_not_given_is_that_of_transformers(tmp_path: Path) -> None:
    for family, configuration in FAMILIES.items():
        folder = tmp_path / family
        save(folder, f"{family}Model")
        path = folder / "config.json"
        fields = json.loads(path.read_text(encoding="utf-8"))
        del fields["layer_norm_eps"]
        path.write_text(json.dumps(fields), encoding="utf-8")
        found = read_huggingface(folder).network.description.layer_norm_eps
        assert found == HuggingFaceReference(folder).epsilon == configuration().layer_norm_eps


def test_the_folders_own_class_may_stand_in_for_its_model_type(tmp_path: Path) -> None:
    for family in FAMILIES:
        folder = tmp_path / family
        model = save(folder, f"{family}ForMaskedLM")
        path = folder / "config.json"
        fields = json.loads(path.read_text(encoding="utf-8"))
        del fields["model_type"]
        path.write_text(json.dumps(fields), encoding="utf-8")
        assert_same_outputs(folder, model, MASKED_LM)
        del fields["architectures"]
        path.write_text(json.dumps(fields), encoding="utf-8")
        with pytest.raises(InputError, match="model_type is None"):
            read_huggingface(folder)


def test_without_a_class_the_tensors_decide(tmp_path: Path) -> None:
    kinds: List[Tuple[str, str]] = [
        ("BertModel", ENCODER),
        ("BertForMaskedLM", MASKED_LM),
        ("BertForSequenceClassification", CLASSIFIER),
        ("BertForTokenClassification", ENCODER),
        ("BertForQuestionAnswering", QUESTION_ANSWERING),
        ("MegatronBertModel", ENCODER),
        ("MegatronBertForSequenceClassification", CLASSIFIER),
        ("RobertaForTokenClassification", ENCODER),
        ("RobertaForSequenceClassification", CLASSIFIER),
        ("RobertaForQuestionAnswering", QUESTION_ANSWERING),
    ]
    for name, purpose in kinds:
        folder = tmp_path / name
        model = save(folder, name)
        path = folder / "config.json"
        fields = json.loads(path.read_text(encoding="utf-8"))
        del fields["architectures"]
        path.write_text(json.dumps(fields), encoding="utf-8")
        assert_same_outputs(folder, model, purpose)


@pytest.mark.parametrize("activation", sorted(FUNCTIONS))
def test_activations_are_those_of_transformers(activation: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    model = save(source, "BertForMaskedLM", hidden_act=activation)
    assert_same_outputs(source, model, MASKED_LM)
    target.mkdir()
    write_huggingface(target, read_huggingface(source).network, None)
    again = transformers.BertForMaskedLM.from_pretrained(str(target)).eval()
    assert again.config.hidden_act == activation
    assert_same_outputs(target, model, MASKED_LM)


@pytest.mark.parametrize("name", ["BertForMaskedLM", "RobertaForMaskedLM"])
@pytest.mark.parametrize("says_tied", [False, True])
def test_an_untied_decoder_keeps_its_matrix(name: str, says_tied: bool, tmp_path: Path) -> None:
    def edit(model: Any) -> None:
        decoder = model.get_output_embeddings()
        with torch.no_grad():
            decoder.weight += 0.2 * torch.randn_like(decoder.weight)
            decoder.bias += 0.2 * torch.randn_like(decoder.bias)

    source, target = tmp_path / "source", tmp_path / "target"
    model = save(source, name, edit, tie_word_embeddings=False)
    if says_tied:
        path = source / "config.json"
        fields = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**fields, "tie_word_embeddings": True}), encoding="utf-8")
    assert not read_huggingface(source).network.description.tied_decoder
    assert_same_outputs(source, model, MASKED_LM)
    target.mkdir()
    write_huggingface(target, read_huggingface(source).network, None)
    again = transformers.BertForMaskedLM.from_pretrained(str(target)).eval()
    ids, _, mask = make_batch()
    ids[ids == 1] = 7
    theirs = outputs_of(model, MASKED_LM, ids, mask)
    assert_equal_outputs(outputs_of(again, MASKED_LM, ids, mask), theirs, mask)


def test_a_tied_matrix_may_have_the_decoders_name_only(tmp_path: Path) -> None:
    for name in ("BertForMaskedLM", "RobertaForMaskedLM"):
        folder = tmp_path / name
        model = save(folder, name)
        path = folder / "model.safetensors"
        tensors = safetensors.numpy.load_file(path)
        prefix, decoder = (
            ("bert", "cls.predictions") if name[:4] == "Bert" else ("roberta", "lm_head")
        )
        moved = tensors.pop(f"{prefix}.embeddings.word_embeddings.weight")
        tensors[f"{decoder}.decoder.weight"] = moved
        tensors[f"{decoder}.decoder.bias"] = tensors.pop(f"{decoder}.bias")
        safetensors.numpy.save_file(tensors, path)
        assert_same_outputs(folder, model, MASKED_LM)
        assert read_huggingface(folder).left_out == ()


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "model.", "module._orig_mod."])
def test_wrapped_and_old_names_are_read(prefix: str, tmp_path: Path) -> None:
    model = save(tmp_path, "BertForSequenceClassification")
    path = tmp_path / "model.safetensors"
    tensors = {
        prefix
        + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): array
        for name, array in safetensors.numpy.load_file(path).items()
    }
    tensors[f"{prefix}bert.embeddings.position_ids"] = np.arange(40)[None]
    tensors["another"] = np.zeros(3, np.float32)
    safetensors.numpy.save_file(tensors, path)
    assert read_huggingface(tmp_path).left_out == ("another",)
    assert_same_outputs(tmp_path, model, CLASSIFIER)
