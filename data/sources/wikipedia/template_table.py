"""The table of templates whose text stays, by language.

A row is a pattern and the names of templates in lower case. `{2|1}` in a pattern stands for the
argument 2, or 1 where 2 is empty; a pattern whose arguments are all empty gives no text. A row that
begins with `!` names a function of `data.sources.wikipedia.templates`.

The table is short against the hundreds of thousands of templates of the Wikipedias. It holds those
that stand within sentences and carry numbers, units, dates, foreign words and quotations, for
English, German, Russian, French, Spanish, Italian, Portuguese, Polish, Ukrainian and Dutch. Every
other template is left out with its arguments.
"""

from __future__ import annotations

from typing import Dict

TEMPLATES: Dict[str, str] = {
    # all languages
    "": """
        {1} = nowrap, nobr, nobreak, nowraplinks, nobold, noitalic, small, smaller, big, larger
        {1} = sc, smallcaps, abbr, tooltip, sub, mvar, var, em, strong, code, mono, samp, kbd
        {1} = unicode
        {1} = quote, blockquote, cquote, bquote, poemquote, flag, flagcountry, nts, angle bracket
        {2} = lang, transl, transliteration, resize, color, font color, colored text, script
        {3|2} = langx
        {1} {2} = sortname
        ^{1} = sup
        !convert = convert, cvt
        !number = formatnum, val
        !fraction = frac, fraction, sfrac
        – = ndash, snd, spnd, spaced ndash, spaced en dash, endash, en dash
        — = mdash, emdash, em dash
        · = ·, middot, •, bullet
        !space = nbsp, spaces, thinsp, space
    """,
    "en": """
        c. {1} = circa, ca., c.
        r. {1}–{2} = reign
        fl. {1}–{2} = floruit, fl.
        ×10^{1} = e
        {lt|1} = interlanguage link, ill
        US${1} = us$, usd
        A${1} = aud
        C${1} = cad
        €{1} = euro, €, eur
        £{1} = gbp, £, pound sterling
        ₹{1} = inr, indian rupee, ₹
        ¥{1} = jpy, ¥, yen
        {1} = inrconvert, not a typo, typo, sic, proper name, linktext, chem2, wbr, shy
        HMS {1} = hms
        USS {1} = uss
        RMS {1} = rms
        {1} {2} = ship
        "{1}" = qi, inline quote
        {1} or {2} = or
        No. {1} = numero sign
        !as_of = as of, asof
        !date = start date, end date, birth date, death date, dts
        !joined = gaps, chem
        {1} = vanchor, midsize, railgauge, track gauge
        ⟨{1}⟩ = angbr
        {1} ({2}) = nihongo
        {2} = rtl-lang
        — = mdashb
        's = 's
        '" = ' "
        ʻ = okina
        ' = ', apostrophe
    """,
    "de": """
        {1} = zitat, polytonisch, elsalt2, kapitälchen, s
        {1} m = höhe
        „{1}“ = "
        !fraction = bruch
    """,
    "ru": """
        {1} = s, comment, цитата, начало цитаты, подсказка, флаг, флагификация, крупно, мелко
        {2|1} = нп, нп1, нп2, нп3, нп4, нп5, iw, нет статьи, lang, не переведено
        {2|1} = не переведено 2, не переведено 3, не переведено 4, не переведено 5
        {2} = цвет
        !number = число, num
        !date = дата
    """,
    "uk": """
        {1} = s, comment, цитата, прапор, прапорифікація
        {2|1} = нп, нп5, iw, lang, не перекладено
        !number = число, num
    """,
    "fr": """
        {1} = citation bloc, citation étrangère, incise, abréviation, abréviation discrète, pays
        {1} = petites capitales, heure
        « {1} » = citation, guil
        {texte|trad|fr|2|1} = lien
        {1}{2} siècle = s, s-
        {1}{2} = sp-
        {1} av. J.-C. = -s
        no {1} = numéro, n°
        er = er
        1er = 1er
        e = e, ème
        av. J.-C. = av jc
        apr. J.-C. = ap jc
        !number = nombre, unité, nb
        !date = date, date-, date de naissance, date de décès
    """,
    "es": """
        {1} = esd, cita, versalita
        siglo {1} = siglo
        !number = unidad
        !date = fecha
    """,
    "it": """
        {1} = citazione, maiuscoletto
        !number = m
    """,
    "pt": """
        {1} = citação, versalete
        !number = fmtn
    """,
    "pl": """
        {1} = cytat
        {2} = j
        !number = liczba
    """,
    "nl": """
        {1} = citaat
    """,
}

UNIT_SIGNS: Dict[str, str] = {
    "c": "°C",
    "f": "°F",
    "k": "K",
    "kph": "km/h",
    "sqkm": "km²",
    "km2": "km²",
    "sqm": "m²",
    "m2": "m²",
    "cm2": "cm²",
    "sqmi": "sq mi",
    "mi2": "sq mi",
    "sqft": "sq ft",
    "ft2": "sq ft",
    "sqin": "sq in",
    "acre": "acres",
    "m3": "m³",
    "cm3": "cm³",
    "km3": "km³",
    "cuft": "cu ft",
    "cuin": "cu in",
    "cumi": "cu mi",
    "usgal": "US gal",
    "impgal": "imp gal",
    "lb-f": "lbf",
    "inch": "in",
    "foot": "ft",
    "metre": "m",
    "meter": "m",
    "kilometre": "km",
    "kilometer": "km",
    "mile": "mi",
}
"""Codes of `{{convert}}` that differ from the sign of the unit; other codes are signs."""

MONTHS: Dict[str, str] = {
    "en": ("January February March April May June July August September October November December"),
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "fr": ("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
    "es": (
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
    ),
}
"""Names of the months in a date, by language."""
