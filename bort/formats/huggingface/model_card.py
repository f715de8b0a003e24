"""The model card: what a reader of the folder must know, written from what the network says."""

from __future__ import annotations

import json
from typing import Any, List, Mapping, Sequence

from bort.network.array_network import ArrayNetwork

_HIDDEN = ("labels", "metrics", "vocabulary")


def model_card(
    network: ArrayNetwork,
    marks: Mapping[str, Any],
    notes: Sequence[str],
    checks: Mapping[str, Any],
) -> str:
    """Markdown with a YAML front matter.

    Args:
        network: what was exported.
        marks: of the config: what an import undoes.
        notes: sentences about the tokenizer.
        checks: what was compared with the original, name → number or text.
    """
    architecture = network.architecture
    count = sum(array.size for array in network.arrays.values())
    lines = [*_front_matter(network), "", f"# {_title(network)}", ""]
    lines += [
        f"A BERT-like encoder of depth {architecture.depth}, {architecture.heads} attention heads, "
        f"hidden size {architecture.hidden} and intermediate size {architecture.intermediate}: "
        f"{count:,} parameters, a vocabulary of {architecture.vocabulary_size:,} tokens, inputs of "
        f"at most {architecture.maximum_length} tokens. Found, distilled or fine-tuned with Bort "
        "(arXiv 2010.10499) and written as plain BERT.",
        "",
        "## Use",
        "",
        "```python",
        *_usage(network),
        "```",
        "",
    ]
    if not architecture.token_types:
        lines += ["The model has no token types: their table is zero and changes nothing.", ""]
    if network.head:
        names = ", ".join(" ".join(label.split()) for label in network.labels)
        lines += [f"Outputs: {names or 'one number (regression)'}.", ""]
    lines += _metrics(network)
    remarks = [*_warnings(network, marks), *notes]
    if remarks:
        lines += ["## Good to know", "", *(f"- {remark}" for remark in remarks), ""]
    if checks:
        lines += ["## Compared with the original on text when it was written", ""]
        lines += [f"- {name}: {value}" for name, value in checks.items()] + [""]
    lines += _provenance(network)
    return "\n".join(lines)


def _front_matter(network: ArrayNetwork) -> List[str]:
    if network.head:
        pipeline = "text-classification"
    else:
        pipeline = "fill-mask" if network.has_decoder else "feature-extraction"
    return [
        "---",
        "library_name: transformers",
        f"pipeline_tag: {pipeline}",
        "tags:",
        "- bort",
        "- bert",
        "---",
    ]


def _title(network: ArrayNetwork) -> str:
    task = network.extra.get("task")
    if network.head:
        return f"Bort fine-tuned on {task}" if task else "Bort, fine-tuned"
    return "Bort, pre-trained" if network.has_decoder else "Bort, encoder"


def _usage(network: ArrayNetwork) -> List[str]:
    if network.head:
        name = "AutoModelForSequenceClassification"
    else:
        name = "AutoModelForMaskedLM" if network.has_decoder else "AutoModel"
    return [
        f"from transformers import AutoTokenizer, {name}",
        "",
        'tokenizer = AutoTokenizer.from_pretrained("folder")',
        f'model = {name}.from_pretrained("folder").eval()',
        'output = model(**tokenizer(["text", "another text"], padding=True, return_tensors="pt"))',
    ]


def _metrics(network: ArrayNetwork) -> List[str]:
    metrics = network.extra.get("metrics")
    if not isinstance(metrics, Mapping) or not metrics:
        return []
    rows = [f"| {name} | {_score(value)} |" for name, value in sorted(metrics.items())]
    return ["## Scores on the development set", "", "| metric | value |", "|---|---|", *rows, ""]


def _score(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, (int, float)) else str(value)


def _warnings(network: ArrayNetwork, marks: Mapping[str, Any]) -> List[str]:
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
    elif network.has_decoder and network.decoder_layer_norm_eps != network.layer_norm_eps:
        found.append(
            f"The original's decoder has a layer norm of epsilon {network.decoder_layer_norm_eps}, "
            f"here it is {network.layer_norm_eps} as in the encoder: masked-token logits differ "
            "by about as many hundred-thousandths of their size."
        )
    if marks.get("pooler") == "zeros":
        found.append("There is no pooler: the pooled output is zero.")
    return found


def _provenance(network: ArrayNetwork) -> List[str]:
    shown = {name: value for name, value in network.extra.items() if name not in _HIDDEN}
    if not shown:
        return []
    text = json.dumps(shown, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    return ["## Provenance", "", "```json", text, "```", ""]
