"""A small random teacher, and a task whose best accuracy is known."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import List, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.network.model_folder import VOCABULARY_FOLDER, write_model_folder
from bort.network.random_network import random_network
from bort.text.sentencepiece_vocabulary import SentencePieceConfig, train_sentencepiece

GOOD = ("bright", "calm", "gentle", "lively", "warm")
BAD = ("bleak", "cold", "dull", "harsh", "stale")
OTHERS = ("day", "film", "long", "river", "seat", "song", "stone", "story", "street", "voice")
BEST_ACCURACY = 0.9
"""A tenth of the labels is wrong, so no model can do better."""


def sentences(count: int, seed: int = 0) -> List[Tuple[str, str]]:
    """Return texts with labels: which of two kinds of words is more frequent."""
    generator = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        kind = int(generator.integers(2))
        words = [str(w) for w in generator.choice((BAD, GOOD)[kind], 2)]
        words += [
            str(w) for w in generator.choice((BAD, GOOD)[1 - kind], int(generator.integers(2)))
        ]
        words += [str(w) for w in generator.choice(OTHERS, int(generator.integers(3, 7)))]
        generator.shuffle(words)
        label = kind if generator.random() < BEST_ACCURACY else 1 - kind
        found.append((" ".join(words), ("bad", "good")[label]))
    return found


def write_task(path: Path, count: int = 400, seed: int = 0) -> Path:
    """Write a file of labelled texts."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["text", "label"])
        rows.writerows(sentences(count, seed))
    return path


def write_teacher(folder: Path, sizes: str = "4-4-128-512", seed: int = 0) -> Path:
    """Write a model folder of random weights, without a head."""
    depth, heads, hidden, intermediate = map(int, sizes.split("-"))
    texts = [text for text, _ in sentences(300, seed=1)]
    settings = SentencePieceConfig(vocabulary_size=330, model_type="bpe")
    vocabulary = train_sentencepiece(texts, settings)
    architecture = Architecture(
        depth, heads, hidden, intermediate, len(vocabulary), maximum_length=64
    )
    network = random_network(architecture, seed)
    network = network.replace(vocabulary_fingerprint=vocabulary.fingerprint)
    folder.mkdir(parents=True)
    write_model_folder(folder, network.description, network.arrays)
    vocabulary.save(folder / VOCABULARY_FOLDER)
    return folder
