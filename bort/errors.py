"""The errors that end a command of this toolkit: bad input and failed work."""


class BortError(Exception):
    """The base of errors that are shown to the user as one line, without a traceback.

    Attributes:
        exit_status: exit status of the command, 1 or 2.
    """

    exit_status = 1


class InputError(BortError):
    """Bad usage or bad input: a flag, a field or a file. The exit status is 2.

    The message names the file (and line) or field, the value found, and the values allowed.
    """

    exit_status = 2


class WorkError(BortError):
    """Failed work on good input: a full disk, a non-finite loss. The exit status is 1."""

    exit_status = 1
