"""What Agora trains on and changes: examples, points with labels, and when two are equal."""

from __future__ import annotations

import hashlib
import json
import re
import string
import unicodedata
from dataclasses import dataclass
from typing import Any, Callable, List, Optional, Sequence, Tuple, Union

Token = Union[int, str]
TokenSegment = Tuple[Token, ...]
PointLabel = Union[int, float]
TextOf = Callable[[TokenSegment], str]

_WORD = re.compile(r"\s*(?:\w+|[^\w\s])")


@dataclass(frozen=True)
class Example:
    """One example without its label: the segments of a single sentence, a pair, or more.

    Attributes:
        segments: tokens of each segment: words (`split_words`) or token ids.

    >>> Example.from_texts("It rained.", "It was wet.").texts()
    ('It rained.', 'It was wet.')
    """

    segments: Tuple[TokenSegment, ...]

    @classmethod
    def from_texts(cls, *texts: str) -> Example:
        """Return an example of words, from which `texts` recovers the stripped strings."""
        return cls(tuple(split_words(text) for text in texts))

    def texts(self, text_of: Optional[TextOf] = None) -> Tuple[str, ...]:
        """Return the segments as strings; token ids need `text_of`."""
        return tuple((text_of or join_words)(segment) for segment in self.segments)

    @property
    def length(self) -> int:
        """Tokens of all segments."""
        return sum(len(segment) for segment in self.segments)


@dataclass(frozen=True)
class Point:
    """An example with its label.

    Attributes:
        example: what is classified.
        label: number of the class, or the value of a regression.
        probabilities: soft labels, one number a class, that sum to 1; None for a hard label.
        from_socrates: whether Socrates gave the label; gold otherwise.
    """

    example: Example
    label: PointLabel
    probabilities: Optional[Tuple[float, ...]] = None
    from_socrates: bool = False

    @property
    def rounded_label(self) -> int:
        """The label as a class; values of a regression are rounded, halves upwards."""
        return round_label(self.label)


def round_label(label: PointLabel) -> int:
    """Return the class of a label: a regression is judged on rounded values, halves upwards.

    >>> [round_label(value) for value in (0.49, 0.5, 1.5, 2.5, 3)]
    [0, 1, 2, 3, 3]
    """
    return int(label // 1 + (1 if label % 1 >= 0.5 else 0))


def split_words(text: str) -> TokenSegment:
    """Return words and punctuation marks, each with the white space before it.

    Joining them loses nothing. The first one gets a space too, so that words can change places.

    >>> split_words("Don't go.")
    (' Don', "'", 't', ' go', '.')
    """
    return tuple(_WORD.findall(" " + text.strip()))


def join_words(segment: Sequence[Token]) -> str:
    """Return the text of what `split_words` gave.

    Raises:
        TypeError: for token ids, which only a vocabulary can join.

    >>> join_words((" now", " Don", "'", "t", " go"))
    "now Don't go"
    """
    if not all(isinstance(token, str) for token in segment):
        raise TypeError("token ids have no text of their own: give text_of")
    return "".join(token for token in segment if isinstance(token, str)).strip()


def normalised_text(text: str) -> str:
    """Text without what does not make a difference: case, spaces, punctuation.

    Unicode counts some marks as symbols, such as the accent in "`` quoted ''": all of ASCII's marks
    are left out here.

    >>> normalised_text("The cat -- it's ``HERE''!") == normalised_text("the cat it s here")
    True
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(
        c for c in folded if unicodedata.category(c)[0] not in "PZC" and c not in string.punctuation
    )


def normalised_key(example: Example, text_of: Optional[TextOf] = None) -> str:
    """Return the same for two examples that differ in case, spaces and punctuation only.

    Args:
        example: of words, or of token ids.
        text_of: makes a segment a string; without it, ids are compared as they are.
    """
    parts = []
    for segment in example.segments:
        if text_of is None and any(not isinstance(token, str) for token in segment):
            parts.append(" ".join(map(str, segment)))
        else:
            parts.append(normalised_text((text_of or join_words)(segment)))
    return "\n".join(parts)


def content_key(value: Any) -> str:
    """SHA-256 of a JSON-ready value, as 64 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def points_key(points: Sequence[Point]) -> str:
    """SHA-256 of the points' content and order."""
    return content_key(
        [[p.example.segments, p.label, p.probabilities, p.from_socrates] for p in points]
    )


def classes_of(points: Sequence[Point]) -> List[int]:
    """Return the classes that occur among the (rounded) labels, ascending."""
    return sorted({point.rounded_label for point in points})
