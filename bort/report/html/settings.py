"""The table of all settings of a run."""

from __future__ import annotations

import json
from typing import Any, Collection, List, Mapping, Optional, Type

from bort.report.html.document import Cell, Table
from bort.settings.config import Config, setting_texts


def settings_table(
    kind: Type[Config],
    values: Mapping[str, Any],
    usual: Optional[Mapping[str, Any]] = None,
    own: Collection[str] = (),
) -> Table:
    """Return a folded table of settings with values and meanings.

    Args:
        kind: the configuration, whose settings have the meanings.
        values: the settings of the run.
        usual: the defaults, by which settings that differ are set off; by default those of `kind`.
        own: settings without a usual value, such as a folder, which are never set off.
    """
    usual = kind.defaults() if usual is None else usual
    meanings = setting_texts(kind)
    changed = []
    rows: List[List[Cell]] = []
    for place, (name, value) in enumerate(sorted(values.items())):
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if name not in own and _plain(value) != _plain(usual.get(name)):
            changed.append(place)
        rows.append([name, shown, meanings.get(name, "")])
    return Table(
        ["setting", "value", "meaning"],
        rows,
        "All settings",
        "Settings that differ from the defaults are set off." if changed else "",
        changed,
        folded=True,
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
