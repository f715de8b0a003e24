"""Folders as values: what a command left, without times, and what it should have cleaned up."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, Dict, List

_TIMES = ("seconds", "tokens_per_second", "clock", "command", "resume")
"""Fields that differ between runs: times, and the command line with its `--resume`."""


def snapshot(folder: Path, without: str = "") -> Dict[str, str]:
    """Return the files and folders below a folder by path: kind, mode and SHA-256.

    Args:
        folder: the folder.
        without: relative path whose subtree is left out.
    """
    found: Dict[str, str] = {}
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(parent) / name
            relative = path.relative_to(folder).as_posix()
            if without and (relative == without or relative.startswith(f"{without}/")):
                continue
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                found[relative] = f"{mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            else:
                found[relative] = f"{mode:o}"
    return found


def changes(before: Dict[str, str], after: Dict[str, str]) -> List[str]:
    """Return what has changed, as "+ path", "- path" and "~ path"."""
    return [
        *(f"+ {path}" for path in sorted(after.keys() - before.keys())),
        *(f"- {path}" for path in sorted(before.keys() - after.keys())),
        *(f"~ {p}" for p in sorted(before.keys() & after.keys()) if before[p] != after[p]),
    ]


def hidden(folder: Path) -> List[str]:
    """Return the paths of temporary files and folders that a command has left below a folder."""
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.name.startswith(".") and path.name not in (".lock", ".gitignore")
    ]


def results(folder: Path) -> Dict[str, str]:
    """Return what a run has left, by path, without times: hashes, or lines of readable files.

    TensorBoard's events hold times only, next to the numbers of `metrics.jsonl`, and pictures hold
    the version of the library that drew them; both are left out, as are locks and hidden files.
    """
    found: Dict[str, str] = {}
    ranks: Dict[str, List[str]] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if _is_old_checkpoint(folder, path):
            continue
        left_out = any(part.startswith(".") or part == "tensorboard" for part in relative.parts)
        if left_out or not path.is_file() or path.suffix in (".png", ".lock"):
            continue
        content = path.read_bytes()
        try:
            content = _without_times(path, content)
        except (ValueError, RecursionError):  # a mutated file that the command did not need
            pass
        if "-rank" in path.name:
            # Which rank does which part of the work may change when a run is resumed.
            name = re.sub(r"-rank\d+", "", relative.as_posix())
            ranks.setdefault(name, []).extend(content.decode("utf-8", "replace").splitlines())
            continue
        short = len(content) <= 4096 and path.suffix in (".json", ".jsonl", ".tsv", ".csv")
        found[relative.as_posix()] = (
            content.decode("utf-8", "replace")
            if short
            else f"{len(content)} bytes, {hashlib.sha256(content).hexdigest()}"
        )
    found.update({name: "\n".join(sorted(lines)) for name, lines in ranks.items()})
    return found


def _is_old_checkpoint(folder: Path, path: Path) -> bool:
    """Return whether a file is of a complete checkpoint that is not the newest.

    A run that was asked to stop saves one at another step, so older ones differ.
    """
    step = next((one for one in path.parents if one.name.startswith("step-")), None)
    if step is None or step == folder:
        return False
    newest = max(one.name for one in step.parent.glob("step-*"))
    files = sorted(one.name for one in step.iterdir())
    return step.name != newest and files == ["state.json", "tensors.safetensors"]


def difference(expected: Dict[str, str], found: Dict[str, str]) -> str:
    """Return one line about the first difference of two results; "" if they are equal."""
    for path in sorted(expected.keys() | found.keys()):
        then, now = expected.get(path), found.get(path)
        if then == now:
            continue
        if then is None or now is None:
            return f"{path} is {'missing' if now is None else 'too much'}"
        pairs = enumerate(zip(then, now))
        at = next((n for n, (a, b) in pairs if a != b), min(len(then), len(now)))
        shown = slice(max(0, at - 40), at + 60)
        return f"{path} differs: …{then[shown]!r} is …{now[shown]!r}"
    return ""


def _without_times(path: Path, content: bytes) -> bytes:
    if path.name in ("run.json", "state.json", "result.json"):
        return json.dumps(_timeless(json.loads(content)), sort_keys=True).encode()
    if path.suffix != ".jsonl" or not (path.name == "metrics.jsonl" or "-rank" in path.name):
        return content
    lines = [
        json.dumps(_timeless(json.loads(line)), sort_keys=True) for line in content.splitlines()
    ]
    return "\n".join(sorted(lines) if "-rank" in path.name else lines).encode()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _timeless(one)
            for name, one in value.items()
            if not any(name == time or name.endswith((f"/{time}", f"_{time}")) for time in _TIMES)
        }
    if isinstance(value, list):
        return [_timeless(one) for one in value]
    return value
