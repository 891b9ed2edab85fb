"""Why a command did not do what was asked, and the exit code that says so."""

import re
from enum import IntEnum


class Cause(IntEnum):
    """Who is to act, as an exit code; 0 is a command that did what was asked.

    EVIDENCE: the data, the tests or the code of models say no. USAGE: what was asked, declared or
    set up cannot be used. INFRASTRUCTURE: a file, a lock, a process, an engine or a connection; the
    same command may succeed later.
    """

    EVIDENCE = 1
    USAGE = 2
    INFRASTRUCTURE = 3


# OperationalError is what Python's database interface (PEP 249) calls errors of its surroundings.
_SURROUNDINGS = {"OSError", "OperationalError", "ConnectionError", "TimeoutError", "Py4JError"}
# A file where a folder should be, and the like: so it was set up.
_SET_UP = {"IsADirectoryError", "NotADirectoryError", "FileExistsError"}
# As DuckDB, the system and servers say it, within what dbt says.
_SAID = re.compile(
    r"IO Error(?!: No files found)|Out of Memory Error|Connection Error|HTTP Error"
    r"|Could not set lock|No space left on device|Connection refused|Connection reset"
    r"|timed out|[Ff]ailed to connect",
)
# "No such table", or column: nothing that comes back by itself.
_SQLITE_ERROR = 1


def cause_of(error: BaseException, otherwise: Cause = Cause.USAGE) -> Cause:
    """Return the cause of an error that others raise.

    Args:
        error: with the errors that it was raised from.
        otherwise: the cause if it is none of the surroundings.

    """
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in chain:
        chain.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return Cause.INFRASTRUCTURE if any(map(_is_of_surroundings, chain)) else otherwise


def cause_said(text: str, otherwise: Cause = Cause.USAGE) -> Cause:
    """Return the cause of what dbt, in whose words the error itself is lost, says of a failure."""
    return Cause.INFRASTRUCTURE if _SAID.search(text) else otherwise


def _is_of_surroundings(error: BaseException) -> bool:
    if getattr(error, "sqlite_errorcode", None) == _SQLITE_ERROR or "No files found" in str(error):
        return False
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & _SURROUNDINGS) and not kinds & _SET_UP
