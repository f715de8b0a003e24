"""Conversion between a task's inputs and Agora's examples of words.

An example is one input of a model, so COPA, MultiRC, ReCoRD and RACE appear as their binary
inputs. Examples have words and not token ids, because Timaeus, Socrates and the proposer may have
different vocabularies and duplicates are found by text. Each text that a formulation protects
(WSC's marked spans, WiC's word, ReCoRD's candidate) is a single token that no τ-function changes.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, List, Sequence, Set, Tuple, Union

from bort.agora.examples import Example, Point, PointLabel, Token, split_words
from bort.agora.tau import Editable, TokenPlace
from bort.errors import InputError
from bort.tasks.items import Piece, Segment, TaskInput
from bort.text.vocabulary import MASK

# Control characters mark protected tokens: no text of a task has them, and `normalised_key` ignores
# them.
_KEPT, _MARKER = "\x01", "\x02"


class TaskPoints:
    """Converts inputs of one task into points, and examples into inputs.

    Converting a gold input to a point and back gives the same characters.

    Args:
        inputs: at least one input of the task; it defines the number of segments and their ranks
            in truncation.

    >>> one = TaskInput((Segment((Piece("bank:", True), Piece(" Wet  bank."))),), 1, 0)
    >>> points = TaskPoints([one])
    >>> [point] = points.points([one])
    >>> point.example.segments[0][1:]
    (' Wet', '  bank', '.')
    """

    def __init__(self, inputs: Sequence[TaskInput]) -> None:
        assert inputs
        self._ranks = tuple(segment.rank for segment in inputs[0].segments)
        self._originals: Dict[Example, Tuple[Segment, ...]] = {}
        self._kept: Set[Token] = set()

    @property
    def kept(self) -> FrozenSet[Token]:
        """The protected tokens of all points made so far."""
        return frozenset(self._kept)

    @property
    def editable(self) -> Editable:
        """The places of the points made so far that τ may change."""
        return Editable(kept=self.kept)

    def points(self, inputs: Iterable[TaskInput]) -> List[Point]:
        """Return gold points of labelled inputs.

        The label of an input with several labels is a number that stands for their set.

        Raises:
            InputError: an input has no label.
        """
        found = []
        for one in inputs:
            if one.label is None:
                raise InputError(f"item {one.item} has no label: Agora needs labelled data")
            found.append(Point(self._example(one), _number_of(one.label)))
        return found

    def inputs(self, examples: Sequence[Example]) -> List[TaskInput]:
        """Return the model input of each example, without labels, numbered in order."""
        return [
            TaskInput(self._originals.get(example) or self._segments(example.segments), None, n)
            for n, example in enumerate(examples)
        ]

    def labelled(self, points: Sequence[Point]) -> List[TaskInput]:
        """Return inputs with the points' labels, to train on."""
        labels: List[PointLabel] = [point.label for point in points]
        examples = [point.example for point in points]
        return [one._replace(label=label) for one, label in zip(self.inputs(examples), labels)]

    def masked(self, example: Example, places: Sequence[TokenPlace]) -> Tuple[TaskInput, List[int]]:
        """Return the input of an example with each word at `places` replaced by `<mask>`.

        Returns:
            The input, and for each place the number of `<mask>` tokens before its own.
        """
        wanted = set(places)
        segments = [
            tuple(_MARKER if (n, p) in wanted else token for p, token in enumerate(segment))
            for n, segment in enumerate(example.segments)
        ]
        order: Dict[TokenPlace, int] = {}
        for n, segment in enumerate(segments):
            for p, token in enumerate(segment):
                if token == _MARKER:
                    order[n, p] = len(order)
        return TaskInput(self._segments(segments), None, 0), [order[place] for place in places]

    def _example(self, one: TaskInput) -> Example:
        segments = []
        for segment in one.segments:
            tokens: List[Token] = []
            for piece in segment.pieces:
                if piece.is_mask:
                    tokens.append(_MARKER)
                elif piece.keep:
                    tokens.append(_KEPT + piece.text)
                else:
                    tokens.extend(_words(piece.text, is_first=not tokens))
            self._kept.update(t for t in tokens if isinstance(t, str) and t[0] in _KEPT + _MARKER)
            segments.append(tuple(tokens))
        example = Example(tuple(segments))
        self._originals.setdefault(example, one.segments)
        return example

    def _segments(self, segments: Sequence[Sequence[Token]]) -> Tuple[Segment, ...]:
        assert len(segments) == len(self._ranks)
        return tuple(Segment(_pieces(s), rank) for s, rank in zip(segments, self._ranks))


def _number_of(label: Union[int, float, Tuple[float, ...]]) -> PointLabel:
    """Return a label as a number: of several labels the binary number of 0 and 1."""
    if not isinstance(label, tuple):
        return label
    return int("".join(str(int(one)) for one in label), 2)


def _words(text: str, is_first: bool) -> List[str]:
    """Return the words of a piece, each with the white space before it."""
    words = [str(word) for word in split_words(text)]
    if words and not is_first:
        white = text[: len(text) - len(text.lstrip())]
        words[0] = white + words[0].lstrip()
    return words


def _pieces(segment: Sequence[Token]) -> Tuple[Piece, ...]:
    pieces: List[Piece] = []
    words: List[str] = []

    def flush() -> None:
        if words:
            text = "".join(words)
            pieces.append(Piece(text if pieces else text.lstrip()))
            words.clear()

    for token in segment:
        word = str(token)
        if word[0] not in _KEPT + _MARKER:
            words.append(word)
            continue
        flush()
        is_mask = word == _MARKER
        pieces.append(Piece(MASK if is_mask else word[1:], True, is_mask))
    flush()
    return tuple(pieces)
