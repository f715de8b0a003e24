"""The answers and tokens that Transformers gives for a folder, where it is installed."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Tuple

import numpy as np

from bort.export.samples import Sample
from bort.process.telemetry import switch_off_telemetry

IdsAndTypes = Tuple[List[int], Optional[List[int]]]
"""Ids, and their token types; None if the tokenizer gives none."""

Encode = Callable[..., IdsAndTypes]
"""Returns the ids and types of one or two texts."""


def answers_by_transformers(folder: Path, sample: Sample) -> Optional[np.ndarray]:
    """Return the outputs of Transformers; None if it or PyTorch is not installed."""
    switch_off_telemetry()
    try:
        import torch
        import transformers
    except ImportError:
        return None
    with _quiet():
        config = transformers.AutoConfig.from_pretrained(str(folder), local_files_only=True)
        kind = getattr(transformers, config.architectures[0])
        model = kind.from_pretrained(str(folder), local_files_only=True).eval()
    length = sample.input_ids.shape[1]
    mask = np.arange(length)[None, :] < sample.lengths[:, None]
    types = None if sample.token_types is None else torch.tensor(sample.token_types)
    with torch.no_grad():
        outputs = model(
            input_ids=torch.tensor(sample.input_ids),
            attention_mask=torch.tensor(mask).long(),
            token_type_ids=types,
        )
    if hasattr(outputs, "start_logits"):
        # (B, L), (B, L) -> (B, L, 2)
        both = [outputs.start_logits.numpy(), outputs.end_logits.numpy()]
        return np.asarray(np.stack(both, axis=-1))
    if hasattr(outputs, "logits"):
        return np.asarray(outputs.logits.numpy())
    return np.asarray(outputs.last_hidden_state.numpy())


def encode_by_transformers(folder: Path) -> Optional[Encode]:
    """Return the encoding of `AutoTokenizer`; None if Transformers is not installed.

    Its errors, of any type, are not caught.
    """
    switch_off_telemetry()
    try:
        from transformers import AutoTokenizer
    except ImportError:
        return None
    with _quiet():
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)

    def encode(*texts: str) -> IdsAndTypes:
        with _quiet():
            encoded = tokenizer(*texts)
        return encoded["input_ids"], encoded.get("token_type_ids")

    return encode


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings of Transformers from the terminal."""
    theirs = logging.getLogger("transformers")
    level = theirs.level
    theirs.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        theirs.setLevel(level)
