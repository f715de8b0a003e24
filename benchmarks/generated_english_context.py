"""Measure how well word counts and adjacent words predict the words of the generated English.

Counts come from training documents, and each word of held-out documents is predicted: the most
frequent word (unigram), the most frequent word after the previous one (bigram), after the previous
two (trigram), and between both neighbours (neighbours). A higher accuracy requires the rest of the
document. The benchmark also measures how many held-out sentences occur in the training text.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Callable, Dict, Hashable, List, Sequence, Tuple

from bort.errors import InputError
from bort.process.command import make_parser, run_command
from data.generated_english.corpus import generate_documents, tokenize, words
from data.generated_english.truth import GeneratedDocument

BOUNDARY = "<s>"
Context = Callable[[Sequence[str], int], Hashable]
# A guess falls back on a wider context, see `FALLBACKS`, if its own context was never seen.
CONTEXTS: Dict[str, Context] = {
    "neighbours": lambda text, at: (text[at - 1], text[at + 1]),
    "trigram": lambda text, at: (text[at - 2], text[at - 1]),
    "bigram": lambda text, at: text[at - 1],
    "unigram": lambda text, at: None,
}
FALLBACKS = {
    "unigram": ("unigram",),
    "bigram": ("bigram", "unigram"),
    "trigram": ("trigram", "bigram", "unigram"),
    "neighbours": ("neighbours", "bigram", "unigram"),
}


def padded_tokens(document: GeneratedDocument) -> List[str]:
    """Return the tokens of a document between boundary tokens."""
    inner = [token for sentence in document.sentences for token in tokenize(sentence)]
    return [BOUNDARY, BOUNDARY, *inner, BOUNDARY]


def best_guesses(texts: Sequence[Sequence[str]], context: Context) -> Dict[Hashable, str]:
    """Return the most frequent token of each context; ties go to the alphabetically first."""
    counts: Dict[Hashable, Counter[str]] = {}
    for text in texts:
        for at in range(2, len(text) - 1):
            counts.setdefault(context(text, at), Counter())[text[at]] += 1
    return {key: min(found, key=lambda t: (-found[t], t)) for key, found in counts.items()}


def guess_accuracy(
    training: Sequence[Sequence[str]], held_out: Sequence[Sequence[str]]
) -> Dict[str, float]:
    """Return the share of held-out tokens that each kind of guess gets right."""
    guesses = {name: best_guesses(training, context) for name, context in CONTEXTS.items()}
    right: Counter[str] = Counter()
    total = 0
    for text in held_out:
        for at in range(2, len(text) - 1):
            total += 1
            for name, order in FALLBACKS.items():
                for step in order:
                    guess = guesses[step].get(CONTEXTS[step](text, at))
                    if guess is not None:
                        right[name] += guess == text[at]
                        break
    return {name: right[name] / total for name in FALLBACKS}


def sentence_overlap(
    training: Sequence[GeneratedDocument], held_out: Sequence[GeneratedDocument]
) -> Tuple[float, Dict[str, float]]:
    """Return the share of held-out sentences that occur in the training text, and this by rule."""
    seen = {sentence for document in training for sentence in document.sentences}
    total: Counter[str] = Counter()
    known: Counter[str] = Counter()
    for document in held_out:
        for sentence in document.structure:
            total[sentence.kind] += 1
            known[sentence.kind] += sentence.text in seen
    by_kind = {kind: known[kind] / count for kind, count in sorted(total.items())}
    return sum(known.values()) / sum(total.values()), by_kind


def measure(seed: int, num_training: int, num_held_out: int) -> Dict[str, object]:
    """Return all figures for one seed; held-out documents are numbered after training documents."""
    training = list(generate_documents(seed, num_training))
    held_out = list(generate_documents(seed, num_held_out, first=num_training))
    texts = [padded_tokens(document) for document in training]
    lengths = sorted(len(text) - 3 for text in texts)
    types = {token for text in texts for token in text} - {BOUNDARY}
    tokens = sum(lengths)
    overlap, by_kind = sentence_overlap(training, held_out)
    sentences = sum(len(document.sentences) for document in training)
    return {
        "seed": seed,
        "training_documents": num_training,
        "held_out_documents": num_held_out,
        "tokens": tokens,
        "types": len(types),
        "types_of_closed_list_share": len(types) / len(words()),
        "tokens_per_sentence": tokens / sentences,
        "sentences_per_document": sentences / num_training,
        "document_tokens": {
            **{
                f"p{p}": lengths[min(len(lengths) - 1, len(lengths) * p // 100)]
                for p in (5, 50, 95)
            },
            "at_most_64_share": sum(n <= 64 for n in lengths) / num_training,
            "at_most_94_share": sum(n <= 94 for n in lengths) / num_training,
        },
        "accuracy": guess_accuracy(texts, [padded_tokens(document) for document in held_out]),
        "sentence_overlap": overlap,
        "sentence_overlap_by_rule": by_kind,
    }


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--num_training", type=int, default=20000, help="documents (default: 20000)"
    )
    parser.add_argument("--num_held_out", type=int, default=2000, help="documents (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="any integer (default: 0)")

    def work(flags: argparse.Namespace) -> None:
        for name in ("num_training", "num_held_out"):
            if getattr(flags, name) < 1:
                raise InputError(f"{name} is {getattr(flags, name)}, allowed is at least 1")
        print(json.dumps(measure(flags.seed, flags.num_training, flags.num_held_out), indent=2))

    run_command(parser, work)


if __name__ == "__main__":
    main()
