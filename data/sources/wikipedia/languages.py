"""Tables by language: separators of numbers, words of redirects, names of files and of templates.

The namespaces of a wiki come from its dump. These tables hold what a dump does not tell: facts of
MediaWiki's localisation, and names of templates in the largest Wikipedias. A language without an
entry has English separators and English words only.
"""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, NamedTuple


class Separators(NamedTuple):
    """The marks of a language within numbers.

    Attributes:
        group: text between groups of three digits; a space stands for MediaWiki's no-break spaces.
        decimal: text between integer and fraction.
        fewest_digits: number of integer digits from which on they are grouped.
    """

    group: str = ","
    decimal: str = "."
    fewest_digits: int = 4


_POINT, _SPACE, _SPACE_FROM_5 = (
    Separators(".", ","),
    Separators(" ", ","),
    Separators(" ", ",", 5),
)
_NUMBERS: Dict[Separators, str] = {
    _POINT: "ca da de el eu gl hr id is it nl ro sl sr tr vi",
    _SPACE: "cs fi fr hu hy ka kk lt nb nn no sk sq sv",
    _SPACE_FROM_5: "be bg es et lv pl pt ru uk",
}
_SEPARATORS = {code: found for found, codes in _NUMBERS.items() for code in codes.split()}

_REDIRECTS = """
    REDIRECT
    ALIH DOORVERWIJZING LENCONG OHJAUS OMDIRIGERING PATRZ PERADRESAVIMAS PRESMERUJ PRZEKIERUJ
    PREUSMJERI PREUSMERITEV PŘESMĚRUJ REDIRECCIÓN REDIRECCION REDIRECIONAMENTO REDIRECTION
    REDIRECTEAZA RIDREJTO RINVIA RINVIO SUUNA TAM TILVÍSUN UUDELLEENOHJAUS VIDEZ WEITERLEITUNG
    YÖNLENDİRME YÖNLENDİR ÁTIRÁNYÍTÁS BIRZUZENDU ĐỔI STIVRE OMDIRIGER ALIDIREKTU ALIDIREKTI
    ΑΝΑΚΑΤΕΥΘΥΝΣΗ АЙДАУ ВИЖ ПЕРАНАКІРАВАННЕ ПЕРЕНАПР ПЕРЕНАПРАВЛЕНИЕ ПЕРЕНАПРАВЛЕННЯ
    ПРЕНАСОЧВАНЕ ПРЕНАСОЧУВАЊЕ ПРЕУСМЕРИ ՎԵՐԱՀՂՈՒՄ გადამისამართება
    הפניה تحويل تغییر_مسیر تغییرمسیر رجوع_مکرر अनुप्रेषित पुनर्निर्देशन পুনর্নির্দেশ เปลี่ยนทาง
    転送 リダイレクト 重定向 넘겨주기
""".split()
_REDIRECT = re.compile(
    rf"\s*#(?:{'|'.join(map(re.escape, _REDIRECTS))})\s*:?\s*\[\[", re.IGNORECASE
)

_DISAMBIGUATIONS: Dict[str, str] = {
    "": "disambig, disambiguation",
    "ar": "توضيح, صفحة توضيح",
    "bg": "пояснение",
    "ca": "desambiguació",
    "cs": "rozcestník",
    "da": "flertydig",
    "de": "begriffsklärung, bks",
    "el": "αποσαφήνιση",
    "en": (
        "dab, disam, disamb, dbig, hndis, hndisambig, geodis, geodab, human name disambiguation, "
        "place name disambiguation, letter–number combination disambiguation, "
        "letter-number combination disambiguation, letter–number combination disambig, "
        "airport disambiguation, airport disambig, biology disambiguation, callsigndis, "
        "call sign disambiguation, chinese title disambiguation, church disambiguation, "
        "hospital disambiguation, mathematical disambiguation, mathdab, "
        "military unit disambiguation, mil-unit-dis, music disambiguation, "
        "number disambiguation, numberdis, opus disambiguation, phonetics disambiguation, "
        "road disambiguation, roaddis, school disambiguation, schooldis, "
        "species latin name disambiguation, species latin name abbreviation disambiguation, "
        "station disambiguation, synagogue disambiguation, taxonomic authority disambiguation, "
        "wikipedia disambiguation, disambiguation page, disambig-cleanup, disambiguation cleanup"
    ),
    "eo": "apartigilo",
    "es": "desambiguación, desambiguacion, desambig",
    "et": "täpsustus, täpsustusleht",
    "eu": "argipen",
    "fa": "ابهام‌زدایی, ابهام زدایی",
    "fi": "täsmennyssivu, täsmennys",
    "fr": "homonymie, toponymie, patronymie, paronymie, homonymie dans les titres",
    "gl": "homónimos",
    "he": "פירושונים",
    "hr": "razdvojba",
    "hu": "egyért, egyértelműsítő lap",
    "hy": "բազմիմաստություն",
    "id": "disambiguasi",
    "it": "disambigua",
    "ja": "aimai, 曖昧さ回避, 人名の曖昧さ回避, 地名の曖昧さ回避, 駅の曖昧さ回避",
    "ka": "მრავალმნიშვნელოვანი",
    "kk": "айрық",
    "ko": "동음이의, 동음이의어",
    "lt": "nuorodinis",
    "nb": "peker",
    "nl": "dp, dpintro",
    "nn": "fleirtyding",
    "no": "peker",
    "pl": "ujednoznacznienie",
    "pt": "desambiguação, desambiguacao, desambig",
    "ro": "dezambiguizare",
    "ru": "неоднозначность, многозначность, дизамбиг, список однофамильцев",
    "sk": "rozlišovacia stránka",
    "sl": "razločitev",
    "sr": "вишезначна одредница",
    "sv": "förgrening, förgreningssida, grensida, gren, efternamn-förgrening",
    "th": "แก้กำกวม, แก้ความกำกวม",
    "tr": "anlam ayrımı, anlamayrımı",
    "uk": "неоднозначність, багатозначність, disambigua",
    "vi": "trang định hướng",
    "zh": "消歧义, 消歧義, 消歧义页, 消歧義頁, 人名消歧义, 人名消歧義, 地名消歧义, 地名消歧義",
}

# Names that older pages use. A dump lists only the present local name.
_OLD_FILE_NAMES: Dict[str, str] = {
    "": "file, image",
    "ar": "صورة",
    "bg": "картинка",
    "ca": "imatge",
    "cs": "obrázek",
    "da": "billede",
    "de": "bild",
    "es": "imagen",
    "fa": "تصویر",
    "fi": "kuva",
    "he": "תמונה",
    "hu": "kép",
    "it": "immagine",
    "ja": "画像",
    "ko": "그림",
    "nb": "bilde",
    "nl": "afbeelding",
    "no": "bilde",
    "pl": "grafika",
    "pt": "imagem",
    "ro": "imagine",
    "ru": "изображение",
    "sk": "obrázok",
    "sr": "слика",
    "sv": "bild",
    "tr": "resim",
    "uk": "зображення",
    "vi": "hình",
    "zh": "图像, 圖像, 文件, 檔案",
}

_WIKIPEDIAS = """
    ab ace ady af ak als alt am ami an ang anp ar arc ary arz as ast atj av avk awa ay az azb ba ban
    bar bat-smg bbc bcl be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bpy br bs bug bxr ca
    cbk-zam cdo ce ceb ch cho chr chy ckb co cr crh cs csb cu cv cy da dag de dga din diq dsb dtp
    dty dv dz ee el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fon fr frp frr fur fy ga gag
    gan gcr gd gl glk gn gom gor got gpe gu guc gur guw gv ha hak haw he hi hif ho hr hsb ht hu hy
    hyw hz ia iba id ie ig igl ii ik ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kcg kg kge
    ki kj kk kl km kn ko koi kr krc ks ksh ku kus kv kw ky la lad lb lbe lez lfn lg li lij lld lmo
    ln lo lrc lt ltg lv mad mai map-bms mdf mg mh mhr mi min mk ml mn mni mnw mos mr mrj ms mt mus
    mwl my myv mzn na nah nap nds nds-nl ne new ng nia nl nn no nb nov nqo nr nrm nso nv ny oc olo
    om or os pa pag pam pap pcd pcm pdc pfl pi pih pl pms pnb pnt ps pt pwn qu rm rmy rn ro roa-rup
    roa-tara rsk ru rue rw sa sah sat sc scn sco sd se sg sh shi shn si simple sk skr sl sm smn sn
    so sq sr srn ss st stq su sv sw szl szy ta tay tcy tdd te tet tg th ti tig tk tl tly tn to tpi
    tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo wa war wo wuu xal xh xmf yi yo
    za zea zgh zh zh-classical zh-min-nan zh-yue zu
"""
WIKIPEDIAS: FrozenSet[str] = frozenset(_WIKIPEDIAS.split())
"""Prefixes of links to the same page in another language."""


def separators(language: str) -> Separators:
    """Return how a language writes numbers, English if the table lacks it.

    >>> separators("de").group
    '.'
    """
    return _SEPARATORS.get(language, Separators())


def is_redirect(text: str) -> bool:
    """Return whether wikitext redirects to another page, in any language of the table.

    >>> is_redirect("#WEITERLEITUNG [[Baum]]"), is_redirect("# Baum [[Haus]]")
    (True, False)
    """
    return _REDIRECT.match(text) is not None


def disambiguation_templates(language: str) -> FrozenSet[str]:
    """Return names, in lower case, of the templates that mark a disambiguation page."""
    return _names(_DISAMBIGUATIONS, language)


def old_file_names(language: str) -> FrozenSet[str]:
    """Return names, in lower case, of the namespace of files that a dump does not list."""
    return _names(_OLD_FILE_NAMES, language)


def _names(table: Dict[str, str], language: str) -> FrozenSet[str]:
    both = f"{table['']}, {table.get(language, '')}"
    return frozenset(filter(None, (name.strip() for name in both.split(","))))
