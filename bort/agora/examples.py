"""Examples and labelled points of Agora, and the keys by which they are compared."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Callable, Optional, Sequence, Tuple, Union

from bort.text.comparison import normalised_text

Token = Union[int, str]
TokenSegment = Tuple[Token, ...]
PointLabel = Union[int, float]
TextOf = Callable[[TokenSegment], str]

_WORD = re.compile(r"\s*(?:\w+|[^\w\s])")


@dataclass(frozen=True)
class Example:
    """An example without its label: one segment, a pair, or more.

    Attributes:
        segments: tokens of each segment, either words (see `split_words`) or token ids.

    >>> Example.from_texts("It rained.", "It was wet.").texts()
    ('It rained.', 'It was wet.')
    """

    segments: Tuple[TokenSegment, ...]

    @classmethod
    def from_texts(cls, *texts: str) -> Example:
        """Return an example of words, from which `texts` recovers the stripped strings."""
        return cls(tuple(split_words(text) for text in texts))

    def texts(self, text_of: Optional[TextOf] = None) -> Tuple[str, ...]:
        """Return the segments as strings; token ids require `text_of`."""
        return tuple((text_of or join_words)(segment) for segment in self.segments)

    @property
    def length(self) -> int:
        """The number of tokens of all segments."""
        return sum(len(segment) for segment in self.segments)


@dataclass(frozen=True)
class Point:
    """An example with its label.

    Attributes:
        example: the input.
        label: class id, or the value of a regression.
        probabilities: soft label, one probability per class, summing to 1; None for a hard label.
        from_socrates: whether Socrates gave the label; otherwise it is gold.
    """

    example: Example
    label: PointLabel
    probabilities: Optional[Tuple[float, ...]] = None
    from_socrates: bool = False


def split_words(text: str) -> TokenSegment:
    """Return words and punctuation marks, each with the white space before it.

    Joining them loses nothing. The first one gets a space too, so that words can change places.

    >>> split_words("Don't go.")
    (' Don', "'", 't', ' go', '.')
    """
    return tuple(_WORD.findall(" " + text.strip()))


def join_words(segment: Sequence[Token]) -> str:
    """Return the text of the tokens that `split_words` returned.

    Raises:
        TypeError: the tokens are ids, which only a vocabulary can join.

    >>> join_words((" now", " Don", "'", "t", " go"))
    "now Don't go"
    """
    if not all(isinstance(token, str) for token in segment):
        raise TypeError("the tokens are ids: text_of is needed to join them")
    return "".join(token for token in segment if isinstance(token, str)).strip()


def normalised_key(example: Example, text_of: Optional[TextOf] = None) -> str:
    """Return a key that ignores case, white space and punctuation.

    Args:
        example: an example of words or of token ids.
        text_of: turns a segment into a string; without it, token ids are compared directly.
    """
    parts = []
    for segment in example.segments:
        if text_of is None and any(not isinstance(token, str) for token in segment):
            parts.append(" ".join(map(str, segment)))
        else:
            parts.append(normalised_text((text_of or join_words)(segment)))
    return "\n".join(parts)


def content_key(value: Any) -> str:
    """Return the SHA-256 of a JSON-ready value, as 64 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def points_key(points: Sequence[Point]) -> str:
    """Return the SHA-256 of the points' content and order."""
    return content_key(
        [[p.example.segments, p.label, p.probabilities, p.from_socrates] for p in points]
    )
