"""Mutations of files, drawn from a random generator, each with a one-line description."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple


class Mutation(NamedTuple):
    """A mutation that was made.

    Attributes:
        kind: its name.
        what: one line that describes it.
        is_content: whether a reader without checksums may rightly take the file with another
            result, since the file is still well-formed data of its kind.
    """

    kind: str
    what: str
    is_content: bool


Maker = Callable[[Path, random.Random], Mutation]
BIG_NUMBERS = [
    *(-1, 0, 2**31, 2**63, 2**64, -(2**63), 10**12, 10**7),
    *(1e308, -0.5, 1e-320, "@digits@"),
]


# ------------------------------------------------------------------------------------- bytes


def flip_bits(path: Path, generator: random.Random) -> Mutation:
    content = bytearray(path.read_bytes() or b"\0")
    places = [generator.randrange(len(content)) for _ in range(generator.choice([1, 1, 1, 8, 64]))]
    for place in places:
        content[place] ^= 1 << generator.randrange(8)
    path.write_bytes(bytes(content))
    return Mutation("bits flipped", f"{len(places)} bits, first at byte {places[0]}", True)


def flip_in_head(path: Path, generator: random.Random) -> Mutation:
    content = bytearray(path.read_bytes() or b"\0")
    place = generator.randrange(min(len(content), 128))
    content[place] ^= 1 << generator.randrange(8)
    path.write_bytes(bytes(content))
    return Mutation("bit flipped in the head", f"byte {place}", True)


def truncate(path: Path, generator: random.Random) -> Mutation:
    content = path.read_bytes()
    size = generator.randrange(max(1, len(content)))
    if generator.random() < 0.3:
        size = max(0, len(content) - generator.randrange(1, 9))
    path.write_bytes(content[:size])
    is_content = content[size:].isspace()  # a last line without its end
    return Mutation("truncated", f"{len(content)} to {size} bytes", is_content)


def double(path: Path, generator: random.Random) -> Mutation:
    content = path.read_bytes()
    path.write_bytes(content + content)
    return Mutation("doubled", f"{len(content)} bytes twice", False)


def empty(path: Path, generator: random.Random) -> Mutation:
    path.write_bytes(b"")
    return Mutation("emptied", "0 bytes", False)


def insert(path: Path, generator: random.Random) -> Mutation:
    content = path.read_bytes()
    place = generator.randrange(len(content) + 1)
    what = generator.choice([b"\0", b"\n", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[2J", b" ", b"\r\n"])
    if generator.random() < 0.3:
        place = generator.choice([0, len(content)])
    what *= generator.choice([1, 1, 1000])
    path.write_bytes(content[:place] + what + content[place:])
    return Mutation("bytes inserted", f"{what[:4]!r}… ({len(what)} bytes) at {place}", True)


def delete(path: Path, generator: random.Random) -> Mutation:
    content = path.read_bytes()
    place = generator.randrange(max(1, len(content)))
    count = generator.choice([1, 4, 64, 1000])
    path.write_bytes(content[:place] + content[place + count :])
    return Mutation("bytes deleted", f"{count} at {place}", True)


def noise(path: Path, generator: random.Random) -> Mutation:
    size = generator.choice([1, 8, 100, 5000])
    path.write_bytes(generator.getrandbits(8 * size).to_bytes(size, "little"))
    return Mutation("replaced by noise", f"{size} bytes", False)


def zeros(path: Path, generator: random.Random) -> Mutation:
    size = path.stat().st_size
    path.write_bytes(bytes(size))
    return Mutation("replaced by zeros", f"{size} bytes", False)


# ------------------------------------------------------------------------------------- places


def remove(path: Path, generator: random.Random) -> Mutation:
    path.unlink()
    return Mutation("removed", "", True)  # a file that a format need not have


def become_folder(path: Path, generator: random.Random) -> Mutation:
    path.unlink()
    path.mkdir()
    return Mutation("a folder in its place", "", False)


def become_link(path: Path, generator: random.Random) -> Mutation:
    path.unlink()
    path.symlink_to(generator.choice(["nowhere", path.name]))
    return Mutation("a dangling link in its place", os.readlink(path), True)


def swap(path: Path, generator: random.Random) -> Mutation:
    """Swap with another file of the folder, of the same suffix if there is one."""
    others = [p for p in sorted(path.parent.iterdir()) if p.is_file() and p != path]
    others = [p for p in others if p.suffix == path.suffix] or others
    if not others:
        return double(path, generator)
    other = generator.choice(others)
    content, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(content)
    return Mutation("swapped", f"with {other.name}", content == theirs)


# ------------------------------------------------------------------------------------- JSON


def _places(value: Any, path: Tuple[Any, ...] = ()) -> List[Tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for name in value:
            found += _places(value[name], (*path, name))
    elif isinstance(value, list):
        for number in range(min(len(value), 40)):
            found += _places(value[number], (*path, number))
    return found


_DELETED = object()


def _text(value: Any) -> str:
    """Return JSON; Python itself refuses to write an integer of 5,000 digits."""
    return json.dumps(value).replace('"@digits@"', "9" * 5_000)


def _changed(value: Any, place: Tuple[Any, ...], new: Any) -> Any:
    parent = value
    for name in place[:-1]:
        parent = parent[name]
    if new is _DELETED:
        del parent[place[-1]]
    else:
        parent[place[-1]] = new
    return value


def _other_value(old: Any, generator: random.Random) -> Any:
    choices: List[Any] = [None, True, False, "", "text", [], {}, [1], {"a": 1}, 0, 1, -1, 2, 0.5]
    choices += [
        float("nan"),
        float("inf"),
        *BIG_NUMBERS,
        "\x1b[31mred",
        "../../etc/passwd",
        "ü\ud800",
    ]
    if isinstance(old, bool):
        choices += [not old] * 4
    elif isinstance(old, (int, float)):
        choices += [old + 1, old - 1, old * 2, str(old), float(old), bool(old), [old]] * 2
    elif isinstance(old, str):
        choices += [old + "x", old[:-1], old.upper(), old[::-1], [old]] * 2
    elif isinstance(old, list):
        choices += [old[:-1], old + old, old[::-1], dict(enumerate(map(str, old)))] * 3
    elif isinstance(old, dict):
        choices += [list(old), dict(list(old.items())[:-1]), {**old, "unknown": 1}] * 3
    return generator.choice(choices)


def _mutated_json(text: str, generator: random.Random) -> Tuple[str, Mutation]:
    kind = generator.choice(
        ["value", "value", "value", "value", "deleted", "nested", "twice", "top"]
    )
    value = json.loads(text)
    places = _places(value)
    if kind == "top" or not places:
        new = generator.choice(["[]", "{}", "null", "1", '"x"', "NaN", "[" * 100_000, "", "true"])
        if generator.random() < 0.2:
            new = '{"a":' * 100_000
        return new, Mutation("another JSON value", new[:20], False)
    place = generator.choice(places)
    # Fields near the top get as much attention as thousands of deep ones.
    if generator.random() < 0.5:
        place = generator.choice([one for one in places if len(one) <= 2])
    where = ".".join(map(str, place))
    old = value
    for name in place:
        old = old[name]
    if kind == "deleted":
        new_text = _text(_changed(value, place, _DELETED))
        return new_text, Mutation("JSON field deleted", where, True)
    if kind == "nested":
        text = _text(_changed(value, place, "@nest@"))
        deep = generator.choice([50, 2_000, 100_000])
        return (
            text.replace('"@nest@"', "[" * deep + "]" * deep),
            Mutation("JSON nested", f"{where}: {deep} deep", False),
        )
    if kind == "twice" and isinstance(place[-1], str):
        text = _text(_changed(value, place, "@twice@"))
        name, other = json.dumps(place[-1]), _text(_other_value(old, generator))
        twice = f"{json.dumps(old)}, {name}: {other}"
        mutation = Mutation("JSON key twice", f"{where}: {other[:40]}", True)
        return text.replace('"@twice@"', twice), mutation
    new = _other_value(old, generator)
    new_text = _text(_changed(value, place, new))
    what = f"{where}: {str(old)[:30]!r} is {str(new)[:30]!r}"
    return new_text, Mutation("JSON value", what, True)


def change_json(path: Path, generator: random.Random) -> Mutation:
    text, mutation = _mutated_json(path.read_text(encoding="utf-8"), generator)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return mutation


def change_json_line(path: Path, generator: random.Random) -> Mutation:
    lines = path.read_text(encoding="utf-8").splitlines()
    number = generator.randrange(len(lines))
    text, mutation = _mutated_json(lines[number], generator)
    lines[number] = text
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass"))
    return mutation._replace(what=f"line {number + 1}: {mutation.what}")


# ------------------------------------------------------------------------------------- text


def change_lines(path: Path, generator: random.Random) -> Mutation:
    content = path.read_bytes()
    lines = content.split(b"\n")
    number = generator.randrange(len(lines))
    kind = generator.choice(
        [
            "gone",
            "twice",
            "swapped",
            "blank",
            "long",
            "crlf",
            "cr",
            "bom",
            "latin1",
            "tab",
            "spaces",
        ]
    )
    is_content = True
    if kind == "gone":
        del lines[number]
    elif kind == "twice":
        lines.insert(number, lines[number])
    elif kind == "swapped":
        other = generator.randrange(len(lines))
        lines[number], lines[other] = lines[other], lines[number]
    elif kind == "blank":
        lines.insert(number, generator.choice([b"", b" ", b"\t", b"\xe2\x80\xa8"]))
    elif kind == "long":
        lines[number] = generator.choice([b"=", b"word ", b"(", b"a", b"\xe2\x96\x81"]) * 20_000
    elif kind in ("crlf", "cr"):
        lines = b"\n".join(lines).replace(b"\n", {"crlf": b"\r\n", "cr": b"\r"}[kind]).split(b"\n")
    elif kind == "bom":
        lines[0] = b"\xef\xbb\xbf" + lines[0]
    elif kind == "latin1":
        lines[number] += "é".encode("latin-1")
    elif kind == "tab":
        lines[number] = lines[number].replace(b" ", b"\t", 1) + b"\t"
    else:
        lines[number] = b" " * generator.choice([1, 1_000_000]) + lines[number]
    path.write_bytes(b"\n".join(lines))
    return Mutation(f"line {kind}", f"line {number + 1} of {len(lines)}", is_content)


# ------------------------------------------------------------------------------------- headers


def huge_header(path: Path, generator: random.Random) -> Mutation:
    """Claim a huge size in the header of a binary file of a known kind."""
    content = path.read_bytes()
    size, is_content = generator.choice([2**60, 2**40, 2**33, 2**31, 10**9]), False
    if content[:6] == b"\x93NUMPY":
        start = content.index(b"'shape':")
        end = content.index(b")", start) + 1
        header = content[10:start] + f"'shape': ({size},)".encode() + content[end:128]
        header = header.rstrip(b"\n ") + b" " * (117 - len(header.rstrip(b"\n "))) + b"\n"
        content = content[:10] + header[:118] + content[128:]
    elif path.suffix == ".safetensors":
        (length,) = struct.unpack("<Q", content[:8])
        if generator.random() < 0.5:
            content = struct.pack("<Q", size) + content[8:]
        else:
            header = json.loads(content[8 : 8 + length])
            name = generator.choice(sorted(header))
            header[name] = {"dtype": "F32", "shape": [size], "data_offsets": [0, 4 * size]}
            text = json.dumps(header).encode()
            content = struct.pack("<Q", len(text)) + text + content[8 + length :]
    else:
        is_content = True  # the place may be in the data
        place = generator.randrange(0, max(1, min(len(content) - 8, 256)))
        content = content[:place] + struct.pack("<Q", size) + content[place + 8 :]
    path.write_bytes(content)
    return Mutation("huge size in the header", str(size), is_content)


def bomb(path: Path, generator: random.Random) -> Mutation:
    """Write a file of a few megabytes or less that unpacks to 2 GB or more."""
    if path.suffix in (".npz", ".zip"):
        _zip_bomb(path, generator)
    elif path.suffix in (".gz", ".bz2", ".xz"):
        packs = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
        pack = packs[path.suffix]
        path.write_bytes(pack(b"a" * (1 << 24)) * 128)
    else:
        return huge_header(path, generator)
    return Mutation("bomb", f"{path.stat().st_size} bytes", False)


def _zip_bomb(path: Path, generator: random.Random) -> None:
    """Replace a member by zeros, as a member of twice 2**30 bytes."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    victim = generator.choice(sorted(members))
    head = b""
    if members[victim][:6] == b"\x93NUMPY":
        import numpy as np

        stream = io.BytesIO()
        shape = {"shape": (1 << 25, 16), "fortran_order": False, "descr": "<i4"}
        np.lib.format.write_array_header_1_0(stream, shape)
        head = stream.getvalue()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            if name != victim:
                archive.writestr(name, content)
                continue
            with archive.open(name, "w", force_zip64=True) as stream:
                stream.write(head)
                for _ in range(128):
                    stream.write(bytes(1 << 24))


BYTES: List[Maker] = [
    *(flip_bits, flip_bits, flip_in_head, truncate, truncate, double, empty, insert, delete),
    *(noise, zeros),
]
PLACES: List[Maker] = [remove, become_folder, become_link, swap, swap]
JSON: List[Maker] = [change_json] * 14
LINES: List[Maker] = [change_json_line] * 10 + [change_lines] * 4
TEXT: List[Maker] = [change_lines] * 12
HEADERS: List[Maker] = [huge_header] * 5
BOMBS: List[Maker] = [bomb] * 2
"""Makers of mutations; one that is listed more often is drawn more often."""

KINDS: Dict[str, List[Maker]] = {
    "json": BYTES + PLACES + JSON,
    "jsonl": BYTES + PLACES + LINES,
    "text": BYTES + PLACES + TEXT,
    "binary": BYTES + PLACES + HEADERS,
    "packed": BYTES + PLACES + HEADERS + BOMBS,
}


def mutate(path: Path, kind: str, generator: random.Random) -> Optional[Mutation]:
    """Mutate a file in place, with a mutation that fits its kind; None if nothing changed.

    Args:
        path: the file.
        kind: one of `KINDS`.
        generator: draws the mutation.
    """
    before = path.read_bytes()
    mutation = generator.choice(KINDS[kind])(path, generator)
    if path.is_file() and not path.is_symlink() and path.read_bytes() == before:
        return None
    return mutation


def clear(path: Path) -> None:
    """Remove a folder, whatever a mutation has put into it."""
    shutil.rmtree(path, ignore_errors=True)
