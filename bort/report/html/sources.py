"""`Sources`: numbers of a report by the names of the stages that they come from."""

from __future__ import annotations

from typing import Dict, List, Mapping, Union

from bort.report.html.document import Cell, Number, Origin, keys_of


class Sources:
    """The keys of an experiment's stages by name.

    Args:
        keys: name of a stage → its key, or several keys.
    """

    def __init__(self, keys: Mapping[str, Origin]) -> None:
        self._keys = keys

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def of(self, *names: str) -> Origin:
        """Return the keys of some stages as the source of a number or a figure.

        Raises:
            KeyError: a stage is not known.
        """
        keys: Dict[str, None] = {}
        for name in names:
            keys.update(dict.fromkeys(keys_of(self._keys[name])))
        found: List[str] = list(keys)
        return found[0] if len(found) == 1 else tuple(found)

    def number(self, text: str, *names: str) -> Number:
        """Return a number that comes from some stages."""
        return Number(text, self.of(*names))

    def known(self, text: str, *names: str) -> Union[Cell, str]:
        """Return a number that comes from some stages; plain text if one of them is not known."""
        return self.number(text, *names) if all(name in self for name in names) else text

    def all(self) -> Origin:
        """Return the keys of all stages."""
        return self.of(*self._keys)
