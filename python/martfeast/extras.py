"""What only some users install: extras, and the message where one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager


class MissingExtraError(ImportError):
    """A package is not installed; the message names the extra that brings it."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import within this what an extra brings.

    Raises:
        MissingExtraError: it is not installed.

    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{error.name} is not installed; it comes with an extra of martfeast."
            f" Run `pip install 'martfeast[{name}]'`.",
            name=error.name,
        ) from None
