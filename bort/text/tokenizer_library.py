"""Opens the package tokenizers late, and turns its errors and panics into `InputError`."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

from bort.errors import InputError


def tokenizer_of(content: str) -> Any:
    """Return a `tokenizers.Tokenizer` of the content of a `tokenizer.json`."""
    import tokenizers  # late: no command needs it for its --help

    return tokenizers.Tokenizer.from_str(content)


@contextlib.contextmanager
def naming_errors_of_tokenizers(source: str) -> Iterator[None]:
    """Turn every error of the package tokenizers into an `InputError`, its panics too."""
    try:
        yield
    except InputError:
        raise
    except BaseException as error:
        # A panic of Rust code is no Exception, and its class cannot be imported.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{source}: is no tokenizer that can be read: {reason}") from error
