"""Dumps in every form give the same pages; damaged and malicious ones are refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from typing import List

import pytest

from bort.errors import InputError
from data.sources.wikipedia import dump
from data.sources.wikipedia.dump import Dump, Page, Position
from tests.data.sources.wikipedia.dumps import HEAD, Written, articles, dump_xml, multistream

PAGES = articles(40)
XML = dump_xml(PAGES)
FORMS = {
    "d.xml": XML,
    "d.xml.bz2": bz2.compress(XML),
    "d.xml.gz": gzip.compress(XML),
    "d.xml.xz": lzma.compress(XML),
    "multistream.xml.bz2": multistream(PAGES),
    # Streams that end within pages, tags and characters, as parallel compressors write them.
    "cut.xml.bz2": b"".join(bz2.compress(XML[i : i + 777]) for i in range(0, len(XML), 777)),
}


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def contents(pages: List[Page]) -> List[tuple]:
    return [(page.title, page.namespace, page.text, page.is_redirect) for page in pages]


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_pages(name: str, tmp_path: Path) -> None:
    read = Dump(written(tmp_path, name, FORMS[name]))
    assert (read.site.name, read.site.language, read.site.namespaces[6]) == ("enwiki", "en", "File")
    expected = [(page.title, page.namespace, page.text, False) for page in PAGES]
    assert contents(list(read.pages())) == expected


@pytest.mark.parametrize("name", FORMS)
def test_reading_goes_on_behind_any_page(name: str, tmp_path: Path) -> None:
    read = Dump(written(tmp_path, name, FORMS[name]))
    pages = list(read.pages())
    for number in range(0, len(pages), 5):
        assert contents(list(read.pages(pages[number].after))) == contents(pages[number + 1 :])


def test_a_multistream_dump_is_entered_in_its_middle(tmp_path: Path) -> None:
    read = Dump(written(tmp_path, "m.bz2", multistream(PAGES, pages_a_stream=4)))
    places = [page.after for page in read.pages()]
    assert len({place.stream for place in places}) == -(-len(PAGES) // 4)
    assert max(place.pages for place in places) == 4
    one = Dump(written(tmp_path, "one.bz2", bz2.compress(XML)))
    assert [page.after for page in one.pages()][-1] == Position(0, len(PAGES))


@pytest.mark.parametrize("name", FORMS)
def test_a_truncated_dump_is_refused(name: str, tmp_path: Path) -> None:
    content = FORMS[name]
    for size in (len(content) // 2, len(content) - 40):
        path = written(tmp_path, name, content[:size])
        with pytest.raises(InputError, match=r"d\.xml|bz2") as caught:
            list(Dump(path).pages())
        assert "truncated" in str(caught.value) or "ends early" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"text", "is no XML dump"),
        (b"<html></html>", "begins with <html>"),
        (b"<mediawiki></mediawiki>", "lacks <siteinfo>"),
        (HEAD.encode()[:200], "is truncated, its XML ends within <namespace>"),
        (XML.replace(b"<ns>0", b"<ns>x", 1), "ns is 'x'"),
        (XML.replace(b"<title>", b"<title>\xff", 1), "is damaged"),
        (bz2.compress(XML)[:60] + b"x" * 400, "damaged"),
    ],
)
def test_what_is_no_dump_is_refused_in_one_line(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, "d", content)
    with pytest.raises(InputError) as caught:
        list(Dump(path).pages())
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    bomb += "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi"))
    content = (bomb + "]>" + HEAD).encode() + Written("T", "&i;").xml().encode() + b"</mediawiki>"
    with pytest.raises(InputError, match="holds <!DOCTYPE x>"):
        Dump(written(tmp_path, "d.xml", content.replace(b"&amp;i;", b"&i;")))


def test_marks_of_pages(tmp_path: Path) -> None:
    content = (
        HEAD + "<page><title>A</title><ns>0</ns><redirect title='B'/><revision><text>#R</text>"
        "</revision>"
        "</page><page><title>B</title><ns>0</ns><revision><text deleted='deleted'/>"
        "</revision></page>"
        "<page><title>C</title><ns>-1</ns><revision><model>json</model><text>{}</text></revision>"
        "</page><page><title>D</title><ns>0</ns><revision><text>old</text></revision><revision>"
        "<contributor><username>text</username></contributor><text>new</text></revision></page>"
        "</mediawiki>"
    )
    pages = list(Dump(written(tmp_path, "d.xml", content.encode())).pages())
    assert [page.is_redirect for page in pages] == [True, False, False, False]
    assert [page.is_deleted for page in pages] == [False, True, False, False]
    assert [page.is_wikitext for page in pages] == [True, True, False, True]
    assert [page.text for page in pages] == ["#R", "", "{}", "new"]


def test_a_page_that_is_too_long_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "LONGEST_PAGE", 1000)
    pages = [Written("A", "a" * 1001), Written("B", "b" * 1000)]
    read = list(Dump(written(tmp_path, "d.xml", dump_xml(pages))).pages())
    assert [(page.is_too_long, page.text) for page in read] == [(True, ""), (False, "b" * 1000)]
