"""Downloads of models from the Hugging Face hub: only safetensors and tokenizer files.

The package `huggingface_hub` does the work, with its cache, its retries and its settings
(`HF_HOME`, `HF_ENDPOINT`, `HF_HUB_OFFLINE`). This module requests only the files in `FILES`, so no
pickle reaches the disk; it checks the weights against the SHA-256 that the hub states; and it turns
every failure into one line. Tested only against an imitation of the hub on one machine.
"""

from __future__ import annotations

import logging
import re
import sys
import urllib.parse
from pathlib import Path
from typing import Any, Callable, Iterable, NamedTuple, Optional, Tuple, TypeVar

from bort.errors import InputError, WorkError
from bort.process.telemetry import switch_off_telemetry
from bort.storage.files import sha256_of_file

log = logging.getLogger(__name__)

HUB_WEIGHTS_FILE = "model.safetensors"
HUB_INDEX_FILE = f"{HUB_WEIGHTS_FILE}.index.json"
FILES = (
    *("config.json", HUB_WEIGHTS_FILE, HUB_INDEX_FILE),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt", "sentencepiece.bpe.model"),
    # Settings of sentence-transformers.
    *("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"),
    *("1_Pooling/config.json", "2_Normalize/config.json"),
    # Files of this toolkit's own exports.
    *("bort.json", "vocabulary.json", "sentencepiece.model", "wordpiece.json"),
)
"""All files that are ever downloaded, by their place in a repository, besides the parts of weights
in several files."""

_PART = re.compile(r"model-\d{5}-of-\d{5}\.safetensors", re.ASCII)

_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?", re.ASCII)
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
_SHOWN = 200
_T = TypeVar("_T")


class Fetched(NamedTuple):
    """A downloaded model.

    Attributes:
        folder: folder of the files, in the package's cache.
        commit: the exact version, 40 hexadecimal digits.
    """

    folder: Path
    commit: str


def fetch_from_hub(
    name: str,
    revision: str = "main",
    *,
    endpoint: Optional[str] = None,
    cache: Optional[Path] = None,
) -> Fetched:
    """Download a model, or find it in the cache.

    Args:
        name: `owner/name`, or a name that the hub knows without an owner, such as `roberta-large`.
        revision: a branch, a tag or a commit.
        endpoint: address of the hub; default `HF_ENDPOINT`, or https://huggingface.co.
        cache: folder of the cache; the package's own by default.

    Raises:
        InputError: the package is missing, the name or revision does not exist, there is no
            safetensors file, or the address is not HTTPS.
        WorkError: the hub cannot be reached, the connection breaks, or the weights do not match
            the SHA-256 that the hub states.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"download is {name!r}, allowed is owner/name or a name of the hub")
    library = _library()
    address = _checked_address(endpoint or library.constants.ENDPOINT)
    what = f"{name} ({address})"
    if not sys.stderr.isatty():
        library.utils.disable_progress_bars()
    api = library.HfApi(endpoint=address)
    info = _ask(
        what, revision, lambda: api.model_info(name, revision=revision, files_metadata=True)
    )
    files = {file.rfilename: file for file in info.siblings or ()}
    weights = _weights_of(files)
    if not weights:
        others = sorted(set(files) & {"pytorch_model.bin", "tf_model.h5", HUB_INDEX_FILE})
        offers = f", only {', '.join(others)}, which is not read" if others else ""
        raise InputError(f"{what}: has no {HUB_WEIGHTS_FILE}{offers}")
    wanted = {*FILES, *weights}
    size = sum(file.size or 0 for path, file in files.items() if path in wanted)
    log.info("%s at %s: %.1f MB", name, info.sha, size / 1e6)
    folder = _ask(
        what,
        revision,
        lambda: library.snapshot_download(
            name,
            revision=info.sha,
            allow_patterns=sorted(wanted),
            endpoint=address,
            cache_dir=None if cache is None else str(cache),
        ),
    )
    for path in weights:
        _check_hash(Path(folder) / path, files[path], what)
    return Fetched(Path(folder), str(info.sha))


def _weights_of(files: Iterable[str]) -> Tuple[str, ...]:
    """Return the names of the weights among those of a model's files; () if there are none."""
    names = set(files)
    if HUB_WEIGHTS_FILE in names:
        return (HUB_WEIGHTS_FILE,)
    if HUB_INDEX_FILE not in names:
        return ()
    return tuple(sorted(filter(_PART.fullmatch, names)))


def _check_hash(path: Path, file: Any, what: str) -> None:
    stated = getattr(file, "lfs", None)
    expected = stated.get("sha256") if isinstance(stated, dict) else getattr(stated, "sha256", None)
    if not path.is_file():
        raise WorkError(f"{what}: {path.name} was not downloaded")
    if not expected:
        log.warning("%s: the hub states no SHA-256 of %s", what, path.name)
    elif sha256_of_file(path) != expected:
        broken = path.resolve()
        raise WorkError(
            f"{what}: {path.name} has another SHA-256 than the hub states; delete {broken} "
            "to download it again"
        )


def _ask(what: str, revision: str, question: Callable[[], _T]) -> _T:
    """Call the package and turn its errors into those of this toolkit.

    The package's lower layers have raised different types in each of its generations (those of
    requests, httpx and its successor), so any other exception is caught too.
    """
    errors = _library().errors
    try:
        return question()
    except errors.RevisionNotFoundError as error:
        raise InputError(f"{what}: has no revision {revision!r}") from error
    except errors.GatedRepoError as error:
        raise InputError(f"{what}: it is gated, ask its owner for access") from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(f"{what}: the hub has no such model, or it is private") from error
    except errors.HFValidationError as error:
        raise InputError(f"{what}: {_line(error)}") from error
    except errors.OfflineModeIsEnabled as error:
        raise InputError(
            f"{what}: HF_HUB_OFFLINE is set; give a folder with --source instead"
        ) from error
    except Exception as error:
        raise WorkError(
            f"{what}: cannot be downloaded ({type(error).__name__}: {_line(error)}); give "
            "a folder downloaded elsewhere with --source"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:_SHOWN]


def _checked_address(address: str) -> str:
    try:
        parts = urllib.parse.urlsplit(address)
        is_usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_usable = False
    if not is_usable or not address.isprintable():
        raise InputError(
            f"HF_ENDPOINT is {address!r}, allowed is an address such as https://huggingface.co"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS):
        raise InputError(f"HF_ENDPOINT is {address!r}, allowed are addresses beginning https://")
    return address.rstrip("/")


def _library() -> Any:
    switch_off_telemetry()
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise InputError(
            "huggingface_hub is not installed, --download needs it: pip install huggingface_hub"
        ) from error
    return huggingface_hub
