"""Splitting of paragraphs into sentences, in any script."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List

LONGEST_LINE = 100_000
"""Characters of a line; longer sentences are cut between words."""

# Languages without spaces end a sentence with a mark of their own.
_END = re.compile(
    r"[。！？｡]+[」』”’）)】》]*"
    r"|(?:[.!?…।॥؟۔։።]+[\"'”’»)\]]*(?: [»”])?)(?= )"
)
_OPENING = "\"'“„‘«»([¿¡—–-"
_ABBREVIATIONS: Dict[str, str] = {
    "": "dr mr mrs ms prof st vs etc no vol ca cf approx c b d",
    "en": "jr sr sen rep gov gen col lt capt sgt rev hon fr fig inc ltd co corp dept est mt ft al",
    "de": "bzw usw ggf evtl vgl sog str nr bd hl abb jh jhd geb gest bes insb u z d h b a v n chr",
    "ru": "г гг в вв им т е д п н э ул пр св акад проф др тыс млн млрд руб рис стр см род ок",
    "uk": "р рр ст вул ім т д п н е акад проф др тис млн млрд грн рис стор див нар",
    "fr": "m mm mme mlle av apr j env éd p vol chap ex",
    "es": "sr sra srta dña d ud uds ee uu pág págs núm a",
    "it": "sig dott ing avv pag es ecc",
    "pt": "sr sra dra pág av exmo",
    "pl": "np tzw m in ok ul tj św im r w prof inż mgr",
    "nl": "bijv dhr mw enz blz o a d w z",
}
_ORDINALS = frozenset("cs da de et fi hr hu is lv nb nn no pl sk sl sr".split())


def split_sentences(paragraph: str, language: str = "") -> List[str]:
    """Return the sentences of a paragraph; joined by spaces, or without, they are the paragraph.

    A sentence ends at a mark of its end that a space and no small letter follow. Initials, common
    abbreviations and, in languages that write them so, ordinal numbers do not end one.

    Args:
        paragraph: text with single spaces.
        language: code of the language, for its abbreviations.

    >>> split_sentences("It is 3 km long. Dr. J. Smith saw it. He left.", "en")
    ['It is 3 km long.', 'Dr. J. Smith saw it.', 'He left.']
    """
    sentences: List[str] = []
    begin = 0
    for found in _END.finditer(paragraph):
        if found.end() < len(paragraph) and _ends(paragraph, found.start(), found.end(), language):
            sentences.append(paragraph[begin : found.end()].strip())
            begin = found.end()
    sentences.append(paragraph[begin:].strip())
    return [part for sentence in sentences if sentence for part in _cut(sentence)]


def _ends(paragraph: str, mark: int, end: int, language: str) -> bool:
    if paragraph[end] != " ":
        return True  # a mark of a script without spaces
    following = paragraph[end + 1 : end + 9].lstrip(_OPENING)
    if not following or following[0].islower():
        return False
    if paragraph[mark] != "." or paragraph[mark : mark + 2] == "..":
        return True
    word = paragraph[paragraph.rfind(" ", max(0, mark - 40), mark) + 1 : mark].lstrip(_OPENING)
    last = re.split(r"[.\-–’']", word)[-1].lower()
    if word.isdigit():
        return not (len(word) <= 2 and language in _ORDINALS)
    is_initial = len(word) == 1 and word.isupper()
    return not (is_initial or ("." in word and len(last) == 1) or last in _abbreviations(language))


def _abbreviations(language: str) -> FrozenSet[str]:
    if language not in _known:
        both = f"{_ABBREVIATIONS['']} {_ABBREVIATIONS.get(language, '')}"
        _known[language] = frozenset(both.split())
    return _known[language]


_known: Dict[str, FrozenSet[str]] = {}


def _cut(sentence: str) -> List[str]:
    """Return a sentence in parts of at most `LONGEST_LINE` characters, cut between words."""
    parts: List[str] = []
    begin = 0
    while len(sentence) - begin > LONGEST_LINE:
        space = sentence.rfind(" ", begin + 1, begin + LONGEST_LINE)
        end = space if space > 0 else begin + LONGEST_LINE
        parts.append(sentence[begin:end])
        begin = end + (space > 0)
    return [*parts, sentence[begin:]]
