"""The two ways in which a command of this toolkit ends badly."""


class BortError(Exception):
    """Base of every error that is shown to the user as one line, without a traceback.

    Attributes:
        exit_status: the status with which a command ends.
    """

    exit_status = 1


class InputError(BortError):
    """Bad usage or bad input: a flag, a field, a file. Ends with status 2.

    The message names the file (and line) or field, the value that was found, and what is allowed.
    """

    exit_status = 2


class WorkError(BortError):
    """Good input, failed work: a full disk, a non-finite loss. Ends with status 1."""

    exit_status = 1
