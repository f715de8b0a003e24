"""Text of templates and parser functions, by the rules of the table of templates."""

from __future__ import annotations

import re
from typing import Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional

from data.sources.wikipedia.languages import separators
from data.sources.wikipedia.template_table import MONTHS, TEMPLATES, UNIT_SIGNS


class Call(NamedTuple):
    """A template or a parser function with its arguments as plain text.

    Attributes:
        name: in lower case, with single spaces.
        arguments: by name; those without a name are called "1", "2", …
        title: title of the page.
        language: code of the wiki's language.
    """

    name: str
    arguments: Mapping[str, str]
    title: str
    language: str

    def first(self, *names: str) -> str:
        """Return the first of the named arguments that is not empty, else ""."""
        return next((self.arguments[name] for name in names if self.arguments.get(name)), "")

    @property
    def listed(self) -> List[str]:
        """The arguments "1", "2", … that are there, in order."""
        found: List[str] = []
        while str(len(found) + 1) in self.arguments:
            found.append(self.arguments[str(len(found) + 1)])
        return found


Rule = Callable[[Call], str]

_FIELD = re.compile(r"\{([^{}]*)\}")
_NUMBER = re.compile(r"[-+−±]?\d[\d.,' ]*(?:\+?\d+[/⁄]\d+)?|\d+[/⁄]\d+")
_RANGES = {
    "-": "–", "–": "–", "to": " to ", "to(-)": " to ", "and": " and ", "and(-)": " and ",
    "or": " or ",
    "x": " × ", "×": " × ", "by": " by ", "by(x)": " by ", "xx": " × ", "+/-": " ± ", "±": " ± ",
    "to about": " to about ", "+": " + ", ",": ", ", "&": " & ", "*": " × ",
}  # fmt: skip
_SECOND_UNITS = {"ft": "in", "lb": "oz", "st": "lb", "yd": "ft", "mi": "yd", "h": "min"}
_PREFIXES = {"subst:", "safesubst:", "template:", "msg:"}
_OF_LANGUAGE = re.compile(r"lang-[a-z-]+")
_GERMAN_FOREIGN_WORD = re.compile(r"[A-Za-z][a-z]{1,2}S")
_LARGEST_NUMBER = 60


class Templates:
    """The rules of one language, and of all languages.

    Args:
        language: code of the wiki's language.
        template_names: names of the namespace of templates, in lower case.
    """

    def __init__(self, language: str, template_names: Iterable[str]) -> None:
        self._language = language
        self._prefixes = _PREFIXES | {f"{name}:" for name in template_names}
        self._rules = {**_read(TEMPLATES[""]), **_read(TEMPLATES.get(language, ""))}

    def has(self, name: str) -> bool:
        """Return whether a template or parser function of this name, as written, has a rule."""
        return self._rule(name) is not None

    def text(self, name: str, arguments: Mapping[str, str], title: str) -> str:
        """Return the text of a template, "" without a rule.

        Args:
            name: as written, with the first argument of a parser function behind a colon.
            arguments: plain text of the arguments, by name.
            title: title of the page.
        """
        rule = self._rule(name)
        if rule is None:
            return ""
        plain = self.plain_name(name)
        before, colon, first = name.partition(":")
        if colon and _function_name(before) in _FUNCTIONS:
            plain = _function_name(before)
            later = {str(int(key) + 1): text for key, text in arguments.items() if key.isdigit()}
            arguments = {**later, "1": first.strip()}
        return rule(Call(plain, arguments, title, self._language))

    def plain_name(self, name: str) -> str:
        """Return a template's name in lower case, with single spaces and without prefix."""
        plain = " ".join(name.replace("_", " ").split()).lower()
        before, colon, rest = plain.partition(":")
        if colon and f"{before}:" in self._prefixes:
            return rest.strip()
        return plain

    def _rule(self, name: str) -> Optional[Rule]:
        before, colon, _ = name.partition(":")
        if colon and _function_name(before) in _FUNCTIONS:
            return _FUNCTIONS[_function_name(before)]
        if name.strip() in _VARIABLES:
            return _VARIABLES[name.strip()]
        plain = self.plain_name(name)
        if plain in self._rules:
            return self._rules[plain]
        if _OF_LANGUAGE.fullmatch(plain):
            return _first_argument
        if self._language == "de" and _GERMAN_FOREIGN_WORD.fullmatch(name.strip()):
            return _first_argument
        return None


def format_number(number: str, language: str) -> str:
    """Return a number with the separators of a language; other text stays as it is.

    Args:
        number: digits with a point before the fraction, as MediaWiki's `formatnum` takes them.
        language: code of the language.

    >>> format_number("1234567.5", "en"), format_number("1234567.5", "de")
    ('1,234,567.5', '1.234.567,5')
    >>> format_number("1234", "ru"), format_number("12345", "ru")
    ('1234', '12 345')
    """
    plain = number.strip().replace(",", "")
    found = re.fullmatch(r"([-+−]?)([0-9]+)(?:\.([0-9]+))?", plain)
    if found is None or len(plain) > _LARGEST_NUMBER:
        return number.strip()
    sign, integer, fraction = found.groups()
    marks = separators(language)
    if len(integer) >= marks.fewest_digits:
        first = len(integer) % 3 or 3
        groups = [integer[:first], *(integer[i : i + 3] for i in range(first, len(integer), 3))]
        integer = marks.group.join(groups)
    return sign + integer + (marks.decimal + fraction if fraction else "")


def _convert(call: Call) -> str:
    """Return number and unit of `{{convert}}` as they are written, without the conversion."""
    parts = [part.strip() for part in call.listed]
    text, place = "", 0
    while place < len(parts) and _NUMBER.fullmatch(parts[place]):
        number = parts[place]
        following = parts[place + 1] if place + 1 < len(parts) else ""
        place += 2
        if following in _RANGES:
            text += number + _RANGES[following]
            continue
        text += f"{number} {UNIT_SIGNS.get(following.lower(), following)}".strip()
        second = _SECOND_UNITS.get(following)
        if second is None or place + 1 >= len(parts) or parts[place + 1] != second:
            break
        text += " "
    return text


def _number(call: Call) -> str:
    """Return a number with the unit behind it."""
    if call.first("2").lower() == "r" and call.name == "formatnum":
        return call.first("1")
    parts = call.listed or [""]
    number = format_number(parts[0], call.language)
    if call.name == "formatnum":
        return number
    if not re.search(r"\d", number):
        return ""
    power = call.first("e")
    unit = call.first("u", "ul", "up", "unit") or " ".join(
        part for part in parts[1:3] if part and not re.fullmatch(r"[\d.,()-]*", part)
    )
    return " ".join(filter(None, (number + (f"×10^{power}" if power else ""), unit)))


def _fraction(call: Call) -> str:
    parts = call.listed
    if len(parts) == 1:
        return f"1/{parts[0]}"
    if len(parts) == 3:
        return f"{parts[0]}+{parts[1]}/{parts[2]}"
    return "/".join(parts[:2])


def _date(call: Call) -> str:
    """Return a date whose arguments are numbers, as the language writes it."""
    parts = [part.strip() for part in call.listed]
    if not all(re.fullmatch(r"\d{1,4}", part) for part in parts[:3]):
        return " ".join(part for part in parts[:3] if part)
    if call.language != "en":
        day, month, year = (parts + ["", "", ""])[:3]
        return " ".join(filter(None, (day, _month(month, call.language), year)))
    year, month, day = (parts + ["", "", ""])[:3]
    name = _month(month, "en")
    if not name:
        return year
    return f"{name} {day}, {year}" if day else f"{name} {year}"


def _as_of(call: Call) -> str:
    year, month, day = (call.listed + ["", "", ""])[:3]
    if call.first("alt"):
        return call.first("alt")
    words = ["Since" if call.first("since") else "As of", day, _month(month, "en") or month, year]
    text = " ".join(filter(None, words))
    return text[0].lower() + text[1:] if call.first("lc") else text


def _month(number: str, language: str) -> str:
    names = MONTHS.get(language, "").split()
    if number.isdigit() and 1 <= int(number) <= len(names):
        return names[int(number) - 1]
    return "" if names else number


def _first_argument(call: Call) -> str:
    return call.first("1")


def _capitalised(call: Call) -> str:
    text = call.first("1")
    return text[:1].upper() + text[1:]


def _uncapitalised(call: Call) -> str:
    text = call.first("1")
    return text[:1].lower() + text[1:]


_RULES: Dict[str, Rule] = {
    "!convert": _convert,
    "!number": _number,
    "!fraction": _fraction,
    "!date": _date,
    "!as_of": _as_of,
    "!space": lambda call: " ",
    "!joined": lambda call: "".join(call.listed),
}
_FUNCTIONS: Dict[str, Rule] = {
    "formatnum": _number,
    "lc": lambda call: call.first("1").lower(),
    "uc": lambda call: call.first("1").upper(),
    "ucfirst": _capitalised,
    "lcfirst": _uncapitalised,
}
_LOCAL_FUNCTIONS = {
    "formatnombre": "formatnum",
    "zahlenformat": "formatnum",
    "форматировать_число": "formatnum",
}
_VARIABLES: Dict[str, Rule] = {
    "!": lambda call: "|",
    "=": lambda call: "=",
    "PAGENAME": lambda call: call.title,
    "FULLPAGENAME": lambda call: call.title,
    "BASEPAGENAME": lambda call: call.title,
    "SUBPAGENAME": lambda call: call.title,
    "НАЗВАНИЕ_СТРАНИЦЫ": lambda call: call.title,
    "SEITENNAME": lambda call: call.title,
    "NOMPAGE": lambda call: call.title,
}


def _function_name(before_colon: str) -> str:
    name = before_colon.strip().lower()
    return _LOCAL_FUNCTIONS.get(name, name)


def _read(table: str) -> Dict[str, Rule]:
    """Return name → rule of the rows of a table."""
    rules: Dict[str, Rule] = {}
    for row in filter(None, (line.strip() for line in table.split("\n"))):
        pattern, _, names = row.partition(" = ")
        rule = _RULES[pattern] if pattern in _RULES else _filled(pattern)
        rules.update((name.strip(), rule) for name in names.split(", "))
    return rules


def _filled(pattern: str) -> Rule:
    fields = [field.split("|") for field in _FIELD.findall(pattern)]

    def rule(call: Call) -> str:
        values = [call.first(*names) for names in fields]
        if fields and not any(values):
            return ""
        filled = iter(values)
        return " ".join(_FIELD.sub(lambda match: next(filled), pattern).split(" ")).strip()

    return rule
