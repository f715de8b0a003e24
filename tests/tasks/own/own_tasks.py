"""An own task for tests, as a task file describes it."""

from __future__ import annotations

from typing import Any, Dict

from bort.storage.json_fields import JsonFields
from bort.tasks.own.task import OwnTask


def content_of(**changes: Any) -> Dict[str, Any]:
    """Return the content of a task file; a change to None removes a field."""
    content = {
        "name": "reviews",
        "fields": ["text"],
        "label_column": "label",
        "labels": ["bad", "good"],
        "metrics": ["accuracy"],
        "files": {"train": "reviews.csv"},
    }
    content.update(changes)
    return {name: value for name, value in content.items() if value is not None}


def own_task(folder: str = "", **changes: Any) -> OwnTask:
    """Return the task of `content_of`."""
    return OwnTask.from_fields(JsonFields.of(content_of(**changes), "task.json"), folder)
