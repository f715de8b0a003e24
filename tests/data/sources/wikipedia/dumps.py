"""Dumps for the tests: made of pages, in every form of compression."""

from __future__ import annotations

import bz2
from typing import List, NamedTuple, Sequence
from xml.sax.saxutils import escape

HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="en">\n'
    "<siteinfo><sitename>Wikipedia</sitename><dbname>enwiki</dbname><namespaces>"
    '<namespace key="0"/><namespace key="1">Talk</namespace><namespace key="6">File</namespace>'
    '<namespace key="10">Template</namespace><namespace key="14">Category</namespace>'
    "</namespaces></siteinfo>\n"
)
END = "</mediawiki>\n"


class Written(NamedTuple):
    title: str
    text: str
    namespace: int = 0
    inside: str = ""

    def xml(self) -> str:
        return (
            f"<page><title>{escape(self.title)}</title><ns>{self.namespace}</ns>{self.inside}"
            f"<revision><model>wikitext</model><text>{escape(self.text)}</text></revision></page>\n"
        )


def dump_xml(pages: Sequence[Written]) -> bytes:
    return (HEAD + "".join(page.xml() for page in pages) + END).encode("utf-8")


def multistream(pages: Sequence[Written], pages_a_stream: int = 3) -> bytes:
    """Return a dump as Wikimedia writes it: head, pages and end are streams of their own."""
    streams: List[str] = [HEAD]
    for begin in range(0, len(pages), pages_a_stream):
        streams.append("".join(page.xml() for page in pages[begin : begin + pages_a_stream]))
    return b"".join(bz2.compress(stream.encode("utf-8")) for stream in [*streams, END])


def articles(count: int) -> List[Written]:
    """Return articles of different lengths, with a redirect and a discussion now and then."""
    pages = []
    for number in range(count):
        text = f"'''Page {number}''' has [[a|{number}]] words. " + "More words follow. " * (
            number * 7 % 40
        )
        if number % 9 == 4:
            pages.append(Written(f"Old {number}", "#REDIRECT [[x]]"))
        if number % 11 == 5:
            pages.append(Written(f"Talk:{number}", "A remark.", 1))
        pages.append(Written(f"Page {number}", text))
    return pages
