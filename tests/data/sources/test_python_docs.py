"""English from docstrings: prose only, each thing said once, always the same."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from data.corpus.documents import read_documents
from data.sources.python_docs import prose_sentences, python_documents, write_python_docs

MODULE = '''"""Tools for things.  They are made for people who need things.

Usage:

    thing(1, 2)

>>> thing()
1
"""

raise SystemExit("it was imported")

class Thing:
    """A thing that can be used for many other things."""
    def use(self, times):
        """use(times) -> int

        Use the thing as often as it is asked for.

        :param times: How often it will be used.
        times -- how often it will be used by them
        - The first use is always free of any charge.
        - The second use costs a little
          more than the first.

        +-----+-----+
        | one | two |
        +-----+-----+
        """
    if True:
        async def lend(self):
            """Lend the thing to a friend, e.g. Peter, for a day."""
    def again(self):
        """Use the thing as often as it is asked for."""
'''


def test_modules_are_parsed_and_prose_is_kept(tmp_path):
    for name in ("b.py", "a.py", "test/c.py", "test_d.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(MODULE if name != "a.py" else "x = 1\n")
    (tmp_path / "broken.py").write_text("def (:")
    assert list(python_documents(tmp_path)) == [
        [
            "Tools for things.",
            "They are made for people who need things.",
            "A thing that can be used for many other things.",
            "Use the thing as often as it is asked for.",
            "The first use is always free of any charge.",
            "The second use costs a little more than the first.",
            "Lend the thing to a friend, e.g. Peter, for a day.",
        ][1:]
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no docstrings"):
        write_python_docs(tmp_path / "out.txt", folder=tmp_path / "empty")
    assert not (tmp_path / "out.txt").exists()


def test_nearly_the_same_is_said_once(tmp_path):
    first = "The value of the option is returned as a string to the caller."
    second = "The value of the option is returned as a number to the caller."
    third = "Nothing in this sentence has been said before by anyone else."
    (tmp_path / "a.py").write_text(f'"""{first}\n\n{second} {third}"""\n')
    assert list(python_documents(tmp_path)) == [[first, third]]


def test_markup_goes():
    docstring = "Return :class:`~a.Thing` or ``None`` if *all* of `them` are gone."
    assert prose_sentences(docstring) == ["Return a.Thing or None if all of them are gone."]


@pytest.mark.slow
def test_this_machines_library_is_a_corpus(tmp_path):
    counts = write_python_docs(tmp_path / "docs.txt")
    documents = list(read_documents([tmp_path / "docs.txt"]))
    assert counts["documents"] == len(documents) > 200
    assert counts["sentences"] == sum(map(len, documents))
    assert counts["bytes"] == (tmp_path / "docs.txt").stat().st_size
    assert counts["words"] > 100_000
    sentences = [sentence for document in documents for sentence in document]
    assert len(set(sentences)) == len(sentences)
    first = (tmp_path / "docs.txt").read_bytes()
    write_python_docs(tmp_path / "docs.txt")
    assert (tmp_path / "docs.txt").read_bytes() == first
