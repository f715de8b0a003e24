"""Generated English: an endless, deterministic corpus of short stories with annotations.

Each document is a few simple sentences about two people. Most of its words follow from its other
words, through number agreement, selection, the topic, and facts that are stated once and used
again; word frequencies alone say little. The demonstration trains on this corpus, and generated
tasks take their labels from its annotations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

from bort.errors import InputError
from bort.storage.files import PathLike, atomic_write
from bort.storage.outputs import check_output_file
from data.generated_english.grammar import GROUP_KEY, write_story
from data.generated_english.lexicon import PRONOUNS_OF_NAME, tokenize, words
from data.generated_english.story import Draw, Person, draw_story
from data.generated_english.truth import Entity, Fact, GeneratedDocument, Sentence

__all__ = ["document", "generate_documents", "tokenize", "words", "write_corpus"]


def generate_documents(seed: int, count: int, first: int = 0) -> Iterator[GeneratedDocument]:
    """Yield documents `first` to `first + count - 1` of the corpus of `seed`.

    A document depends only on the seed and its number.

    Args:
        seed: any integer.
        count: number of documents, at least 0.
        first: number of the first document, at least 0.

    Raises:
        InputError: `count` or `first` is negative.

    >>> next(generate_documents(seed=0, count=1)).sentences[0]
    'Ella is a skier from Westholm and owns a blue backpack.'
    """
    if count < 0 or first < 0:
        raise InputError(f"count is {count} and first is {first}, allowed is at least 0")
    return (document(seed, index) for index in range(first, first + count))


def document(seed: int, index: int) -> GeneratedDocument:
    """Return document number `index` of the corpus of `seed`."""
    draw = Draw(seed, index)
    story = draw_story(draw)
    sentences: List[Sentence] = []
    told: Dict[Tuple[str, str], Tuple[str, List[int]]] = {}
    for number, (kind, writer) in enumerate(write_story(story, draw)):
        sentences.append(writer.finish(kind))
        for subject, relation, value in writer.facts:
            known, where = told.setdefault((subject, relation), (value, []))
            assert known == value, (subject, relation, known, value)
            if number not in where:
                where.append(number)
    facts = tuple(
        Fact(subject, relation, value, tuple(where))
        for (subject, relation), (value, where) in told.items()
    )
    mentioned = {key for sentence in sentences for m in sentence.mentions for key in m.entities}
    entities = tuple(
        entity
        for person in (story.first, story.second)
        for entity in _entities(person)
        if entity.key in mentioned
    )
    if GROUP_KEY in mentioned:
        entities += (Entity(GROUP_KEY, "group", "they", ""),)
    return GeneratedDocument(index, story.topic.name, tuple(sentences), entities, facts)


def _entities(person: Person) -> Iterator[Entity]:
    name = person.name
    yield Entity(name, "person", PRONOUNS_OF_NAME[name].subject, "")
    yield Entity(person.pet, "pet", "it", name)
    yield Entity(f"{name}'s {person.thing}", "thing", "it", name)
    yield Entity(f"{name}'s {person.home}", "home", "it", name)


def write_corpus(path: PathLike, seed: int, documents: int) -> Dict[str, int]:
    """Write a corpus file: one sentence per line, a blank line between documents, UTF-8.

    Args:
        path: the file to write; it appears when it is complete.
        seed: any integer.
        documents: number of documents, at least 1.

    Returns:
        The counts `documents`, `sentences`, `tokens` (words and punctuation marks), `types`
        (distinct tokens) and `bytes`.

    Raises:
        InputError: `documents` is not positive.
        WorkError: the file cannot be written.
    """
    if documents < 1:
        raise InputError(f"documents is {documents}, allowed is at least 1")
    check_output_file(path)
    sentences = tokens = size = 0
    types: Set[str] = set()
    with atomic_write(Path(path)) as stream:
        for item in generate_documents(seed, documents):
            text = "\n".join(item.sentences) + "\n"
            found = tokenize(text)
            sentences += len(item.sentences)
            tokens += len(found)
            types.update(found)
            size += stream.write((text if item.index == 0 else "\n" + text).encode("utf-8"))
    return {
        "documents": documents,
        "sentences": sentences,
        "tokens": tokens,
        "types": len(types),
        "bytes": size,
    }
