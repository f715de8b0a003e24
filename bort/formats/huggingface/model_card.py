"""The model card of an exported Hugging Face folder, generated from the model's description."""

from __future__ import annotations

import json
from typing import Any, List, Mapping, Sequence

from bort.architecture import POST_NORM, PRE_NORM
from bort.network.array_network import ArrayNetwork
from bort.network.description import (
    CLASSIFIER,
    ENCODER,
    MASKED_LM,
    QUESTION_ANSWERING,
    ModelDescription,
)
from bort.network.head import MULTI_LABEL, REGRESSION, SINGLE_LABEL

_HIDDEN = ("labels", "metrics", "vocabulary")


def model_card(
    network: ArrayNetwork,
    marks: Mapping[str, Any],
    notes: Sequence[str],
    checks: Mapping[str, Any],
) -> str:
    """Return Markdown with a YAML front matter.

    Args:
        network: the exported network.
        marks: the config's marks, which an import undoes.
        notes: sentences about the tokenizer.
        checks: results of the comparison with the original, name → number or text.
    """
    model, architecture = network.description, network.architecture
    count = sum(array.size for array in network.arrays.values())
    lines = [*_front_matter(model), "", f"# {_title(model)}", ""]
    lines += [
        f"A BERT-like encoder of depth {architecture.depth}, {architecture.heads} attention heads, "
        f"hidden size {architecture.hidden} and intermediate size {architecture.intermediate}: "
        f"{count:,} parameters, a vocabulary of {architecture.vocabulary_size:,} tokens, inputs of "
        f"at most {architecture.maximum_length} tokens. Found, distilled or fine-tuned with Bort "
        f"(arXiv 2010.10499) and written as {_FAMILIES[architecture.norm]}.",
        "",
        "## Use",
        "",
        "```python",
        *_usage(model),
        "```",
        "",
    ]
    if not architecture.token_types:
        lines += ["The model has no token types: their table is zero and changes nothing.", ""]
    if model.purpose == CLASSIFIER:
        lines += [_outputs(model), ""]
    if model.purpose == QUESTION_ANSWERING:
        lines += [_SPANS, ""]
    lines += _metrics(model)
    remarks = [*_warnings(model, marks), *notes]
    if remarks:
        lines += ["## Good to know", "", *(f"- {remark}" for remark in remarks), ""]
    if checks:
        lines += ["## Compared with the original on text when it was written", ""]
        lines += [f"- {name}: {value}" for name, value in checks.items()] + [""]
    lines += _provenance(model)
    return "\n".join(lines)


_FAMILIES = {
    POST_NORM: "plain BERT",
    PRE_NORM: "MegatronBERT, which is BERT in the pre-norm layout",
}
_PIPELINES = {
    CLASSIFIER: "text-classification",
    QUESTION_ANSWERING: "question-answering",
    MASKED_LM: "fill-mask",
    ENCODER: "feature-extraction",
}
_TITLES = {
    CLASSIFIER: "Bort, fine-tuned",
    QUESTION_ANSWERING: "Bort, question answering",
    MASKED_LM: "Bort, pre-trained",
    ENCODER: "Bort, encoder",
}
_CLASSES = {
    CLASSIFIER: "AutoModelForSequenceClassification",
    QUESTION_ANSWERING: "AutoModelForQuestionAnswering",
    MASKED_LM: "AutoModelForMaskedLM",
    ENCODER: "AutoModel",
}


def _front_matter(model: ModelDescription) -> List[str]:
    library, pipeline = "transformers", _PIPELINES[model.purpose]
    if model.embedding is not None and model.purpose == ENCODER:
        library, pipeline = "sentence-transformers", "sentence-similarity"
    return [
        "---",
        f"library_name: {library}",
        f"pipeline_tag: {pipeline}",
        "tags:",
        "- bort",
        "- bert" if model.architecture.norm == POST_NORM else "- megatron-bert",
        "---",
    ]


def _title(model: ModelDescription) -> str:
    if model.head is not None and model.task is not None:
        return f"Bort fine-tuned on {model.task.name}"
    return _TITLES[model.purpose]


_SPANS = (
    "Outputs: two logits of every token, that the answer starts there and that it ends there. The "
    "answer is a span of the context, the second text."
)
_MEANINGS = {
    SINGLE_LABEL: "logits of a softmax: one label is right",
    MULTI_LABEL: "logits of a sigmoid each: any number of labels is right",
    REGRESSION: "numbers (regression)",
}


def _outputs(model: ModelDescription) -> str:
    """Return a sentence about the names and the meaning of a classifier's outputs."""
    assert model.head is not None
    kind, count = model.head.problem_type, model.num_classes
    names = ", ".join(" ".join(label.split()) for label in model.labels)
    if kind == REGRESSION and count == 1 and not names:
        return "Outputs: one number (regression)."
    if kind == SINGLE_LABEL and names:
        return f"Outputs: {names}."
    return f"Outputs: {names or count}; they are {_MEANINGS[kind]}."


def _usage(model: ModelDescription) -> List[str]:
    name = _CLASSES[model.purpose]
    if model.embedding is not None and model.purpose == ENCODER:
        return [
            "from sentence_transformers import SentenceTransformer",
            "",
            'vectors = SentenceTransformer("folder").encode(["text", "another text"])',
        ]
    texts = '["text", "another text"]'
    if model.purpose == QUESTION_ANSWERING:
        texts = '["question"], ["context"]'
    return [
        f"from transformers import AutoTokenizer, {name}",
        "",
        'tokenizer = AutoTokenizer.from_pretrained("folder")',
        f'model = {name}.from_pretrained("folder").eval()',
        f'output = model(**tokenizer({texts}, padding=True, return_tensors="pt"))',
    ]


def _metrics(model: ModelDescription) -> List[str]:
    if not model.metrics:
        return []
    rows = [f"| {name} | {value:.4f} |" for name, value in sorted(model.metrics.items())]
    return ["## Scores on the development set", "", "| metric | value |", "|---|---|", *rows, ""]


def _warnings(model: ModelDescription, marks: Mapping[str, Any]) -> List[str]:
    found = []
    if "head" in marks:
        shift = marks["head"]["shift"]
        found.append(
            "Before training this model further: its head is linear, and BERT's applies a tanh. "
            f"So its pooler is multiplied by 2^-{shift} and its classifier by 2^{shift}, where the "
            "tanh makes no difference. Gradients and weight decay are then badly scaled: start "
            "with a new head instead. Float16 and bfloat16 lose a little more than usual."
        )
    if "residual_shift" in marks:
        found.append(
            "For inference in float32 only: weights are multiplied by powers of two "
            f"(2^{marks['residual_shift']}) so that one epsilon serves encoder and decoder. Do "
            "not train it, and do not convert it to 16 bits."
        )
    elif model.has_decoder and model.decoder_layer_norm_eps != model.layer_norm_eps:
        found.append(
            f"The original's decoder has a layer norm of epsilon {model.decoder_layer_norm_eps}, "
            f"here it is {model.layer_norm_eps} as in the encoder: masked-token logits differ "
            "by about as many hundred-thousandths of their size."
        )
    if marks.get("pooler") == "zeros":
        found.append("There is no pooler: the pooled output is zero.")
    return found


def _provenance(model: ModelDescription) -> List[str]:
    shown = {name: value for name, value in model.extra().items() if name not in _HIDDEN}
    if not shown:
        return []
    text = json.dumps(shown, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    return ["## Provenance", "", "```json", text, "```", ""]
