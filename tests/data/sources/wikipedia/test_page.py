"""A page's wikitext becomes the text that MediaWiki shows, by the rules written out here."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from data.sources.wikipedia import page
from data.sources.wikipedia.page import Outcome, PageReader, TextSettings, parts_of

NAMESPACES: Dict[int, str] = {6: "File", 10: "Template", 14: "Category"}


def reader(language: str = "en", **settings: Any) -> PageReader:
    settings.setdefault("sentences", False)
    return PageReader(language, NAMESPACES, TextSettings(**settings))


def lines(wikitext: str, language: str = "en", **settings: Any) -> List[str]:
    return reader(language, **settings).read("Title", wikitext)[1]


def line(wikitext: str, language: str = "en", **settings: Any) -> str:
    return " / ".join(lines(wikitext, language, **settings))


@pytest.mark.parametrize(
    ("wikitext", "shown"),
    [
        ("{{convert|8848|m|ft}}", "8848 m"),
        ("{{convert|5|-|10|km}}", "5–10 km"),
        ("{{convert|20|C}}", "20 °C"),
        ("{{Cvt|6|ft|2|in}}", "6 ft 2 in"),
        ("{{convert|far|m}}", ""),
        ("{{formatnum:1234567}}", "1,234,567"),
        ("{{formatnum:1,234|R}}", "1,234"),
        ("{{formatnum:-0.5}}", "-0.5"),
        ("{{Nowrap|12 kg}}", "12 kg"),
        ("{{template:nowrap|1={{nobr|a}} b}}", "a b"),
        ("{{lang|fr|chat}}", "chat"),
        ("{{lang-de|[[Haus|Haus]]}}", "Haus"),
        ("{{langx|de|Haus}}", "Haus"),
        ("{{as of|2010}}", "As of 2010"),
        ("{{ndash}}", "–"),
        ("12{{nbsp}}kg", "12 kg"),
        ("{{chem|H|2|O}}", "H2O"),
        ("{{Nihongo|[[bayonet]]|銃剣|jūken}}", "bayonet (銃剣)"),
        ("{{frac|3|1|2}}", "3+1/2"),
        ("{{val|5|e=6|u=m}}", "5×10^6 m"),
        ("{{PAGENAME}}", "Title"),
        ("{{ucfirst:a b}}", "A b"),
        ("{{#if:x|y|z}}", ""),
        ("{{unknown|text}}", ""),
    ],
)
def test_templates_that_carry_text_keep_it(wikitext, shown):
    assert line(f"a {wikitext} b") == " ".join(f"a {shown} b".split())


def test_numbers_have_the_separators_of_the_language():
    assert line("{{formatnum:1234567.5}}", "de") == "1.234.567,5"
    assert line("{{formatnum:1234567.5}}", "ru") == "1 234 567,5"
    assert line("{{formatnum:1234}}", "ru") == "1234"
    assert line("{{formatnum:1234}}", "fr") == "1 234"


@pytest.mark.parametrize(
    ("wikitext", "shown"),
    [
        ("x.<ref/> Y", "x. Y"),
        ("x <ref>a</ref>. Y", "x. Y"),
        ("x ({{u}}) y", "x y"),
        ("x ({{u}}; born) y", "x (born) y"),
        ("x (a; {{u}}) y", "x (a) y"),
        ("x (a; {{u}}; b) y", "x (a; b) y"),
        ("f() and {{u}} g", "f() and g"),
        ("a <ref>b <ref>c</ref> d", "a d"),
        ("a <ref name=x>b\nc <ref>d</ref> e", "a c e"),
        ("a <math>x < y</math> b", "a b"),
        ("a < b > c", "a < b > c"),
        ("<b>a</b> <unknown>b</unknown>", "a <unknown>b</unknown>"),
        ("2<sup>10</sup> m<sup>2</sup> 5<sup>th</sup>", "2^10 m2 5th"),
        ("a<!-- b", "a"),
        ("a\n<!-- b -->\nc", "a c"),
        ("a<includeonly>b</includeonly><noinclude>c</noinclude>", "ac"),
        ("<nowiki>* ''a'' {{b}} &lt;</nowiki>", "* ''a'' {{b}} <"),
        ("a __NOTOC__ b __lower__", "a b __lower__"),
    ],
)
def test_tags_leave_no_residue(wikitext, shown):
    assert line(wikitext) == shown


@pytest.mark.parametrize(
    ("wikitext", "shown"),
    [
        ("[[A|b]]s [[a]]ful", "bs aful"),
        ("[[A (b)|]] [[A, B|]]", "A A"),
        ("[http://x y] [http://x] [//x z]", "y z"),
        ("[[File:a.jpg|thumb|cap [[L]] in]] a", "a"),
        ("[[Image:a.jpg]] [[image:b.jpg|x]] a", "a"),
        ("a [[fr:Page]] [[:fr:Page|b]]", "a b"),
        ("[[Category:X|y]] [[:Category:X]]", "Category:X"),
        ("[[a b", "a b"),
        ("a]] b {{nowrap|c}}", "a b c"),
        ("[[A|a [http://x b] c]]", "a b c"),
        ("a [[b|''c'']] '''d'''", "a c d"),
    ],
)
def test_links_are_their_labels(wikitext, shown):
    assert line(wikitext) == shown


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("de", "Datei"),
        ("de", "Bild"),
        ("ru", "Файл"),
        ("ar", "ملف"),
        ("ar", "صورة"),
        ("de", "Image"),
    ],
)
def test_files_have_the_names_of_the_dump_and_the_old_ones(language, name):
    local = {"de": "Datei", "ru": "Файл", "ar": "ملف"}[language]
    local_reader = PageReader(language, {6: local, 14: "X"}, TextSettings(sentences=False))
    assert local_reader.read("T", f"a [[{name}:b.jpg|c [[d]]]] e")[1] == ["a e"]
    assert local_reader.read("T", "a [[x:b]] e")[1] == ["a e"]


def test_web_addresses_stay_by_option():
    assert line("see http://x.org/a?b now") == "see now"
    assert line("see http://x.org/a?b now", addresses=True) == "see http://x.org/a?b now"


@pytest.mark.parametrize(
    "wikitext",
    ["#REDIRECT [[x]]", "#redirect: [[x]]", "#WEITERLEITUNG [[x]]", "\n#ПЕРЕНАПРАВЛЕНИЕ [[x]]"],
)
def test_redirects_are_no_documents(wikitext):
    assert reader().read("T", wikitext) == (Outcome.REDIRECT, [])


@pytest.mark.parametrize(
    ("language", "template"),
    [
        ("en", "Disambiguation"),
        ("en", "hndis|name=x"),
        ("de", "Begriffsklärung"),
        ("ru", "Неоднозначность|тип"),
        ("fr", "Homonymie"),
        ("xx", "disambig"),
    ],
)
def test_disambiguation_pages_are_dropped_unless_asked_for(language, template):
    text = f"'''A''' may be:\n* b\n{{{{{template}}}}}"
    assert reader(language).read("T", text) == (Outcome.DISAMBIGUATION, [])
    kept = reader(language, disambiguations=True).read("T", text)
    assert kept == (Outcome.DOCUMENT, ["A may be:", "b"])
    assert reader().read("T", "A.{{Disambiguation needed}}")[0] is Outcome.DOCUMENT


def test_lists_and_headings_by_option():
    text = "a\n* b\n# c\n; d : e\n== H ==\nf\n== I ==\n== J ==\n=== K ===\ng"
    assert lines(text) == ["a", "b", "c", "d", "e", "f", "g"]
    assert lines(text, lists=False) == ["a", "f", "g"]
    assert lines(text, lists=False, headings=True) == ["a", "H", "f", "J", "K", "g"]


def test_entities_are_decoded_once_and_letters_stay_as_they_are():
    assert line("&amp;nbsp; &lt;b&gt; &nope; &#65;") == "&nbsp; <b> &nope; A"
    assert line("cafe\u0301 caf\u00e9") == "cafe\u0301 caf\u00e9"
    assert line("a\u00a0b\u202fc\u200fd\r\ne") == "a b cd e"


def test_quotes_are_marks_and_apostrophes_stay():
    assert line("'''b''' ''i'' '''''bi''''' l'''x") == "b i bi l'x"
    assert line("l'''x'' d''''y'''") == "l'x d'y"
    assert line("rock ''n' roll'' isn't") == "rock n' roll isn't"


def test_variants_of_a_script_are_one():
    assert line("a -{zh-hans:b; zh-hant:c}- d", "zh") == "a b d"


def test_no_line_looks_like_the_heading_of_a_corpus():
    assert line("&#61; a &#61;") == "a"


def test_a_long_page_is_read_in_parts(monkeypatch):
    monkeypatch.setattr(page, "LONGEST_PART", 40)
    text = "== A ==\n" + "word " * 20 + "\n\nx\n== B ==\n" + "y" * 100
    parts = list(parts_of(text))
    assert "".join(parts) == text
    assert max(map(len, parts)) <= 40
    assert any(part.startswith("\n== B") for part in parts)
    assert list(parts_of("short")) == ["short"]


def test_sentences_are_lines():
    text = "One is 1. Two is Dr. A. Smith. Three!\n\n* Four."
    assert lines(text, sentences=True) == [
        "One is 1.",
        "Two is Dr. A. Smith.",
        "Three!",
        "Four.",
    ]


HARD = {
    "templates that nothing closes": "{{a|" * 30_000,
    "lines of templates": "\n{{a" * 30_000,
    "links that nothing closes": "[[a|" * 30_000,
    "closed links": "[[a|" * 30_000 + "]]" * 30_000,
    "known templates": "{{nowrap|a " * 30_000 + "}}" * 30_000,
    "templates in links": "[[a|[http://b {{lang|x|" * 10_000,
    "external links": "[http://a " * 30_000,
    "tables": "\n{|" * 30_000,
    "references": "<ref>" * 30_000 + "</ref>",
    "references with a line each": "<ref>a\n" * 30_000 + "</ref>",
    "tags": "<b>" * 30_000 + "<ref " * 30_000,
    "quotes": "''a'''" * 30_000,
    "braces": "{" * 90_000 + "}" * 45_000,
    "brackets": "(, " * 30_000 + "{{x}}" * 30_000,
    "headings": "\n==" * 30_000,
    "spaces": " \t" * 100_000 + "{{x}}.",
}


@pytest.mark.parametrize("name", HARD)
def test_broken_wikitext_costs_no_more_than_its_length(name):
    """Work that grows with the square of the length would not end here: it takes hours."""
    assert lines(HARD[name] + "\n\nLast.")[-1] == "Last."


def test_a_comment_that_nothing_closes_hides_the_rest():
    assert lines("a" + "<!-- b" * 100_000) == ["a"]


@pytest.mark.parametrize("depth", [1, 12, 60, 300])
def test_text_behind_deep_nesting_stays(depth):
    for opening, closing in (("{{x|", "}}"), ("{{nowrap|", "}}"), ("\n{|\n|", "\n|}")):
        assert lines(opening * depth + "a" + closing * depth + "\n\nText.")[-1] == "Text."
