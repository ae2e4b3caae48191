"""All that is wrong with what somebody typed: a form tells it at once, where a program is told
what is found first."""

from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager

from ums.errors import UmsError

Check = Callable[[], object]
"""Raises UmsError for what is wrong."""


class ErrorList(list[UmsError]):
    """The errors of steps that follow one another, of which a later one does without an earlier."""

    @contextmanager
    def collecting(self) -> Generator[None]:
        """Add the error that the block raises, and go on behind it."""
        try:
            yield
        except UmsError as error:
            self.append(error)


def all_of(checks: Iterable[Check]) -> list[UmsError]:
    """The errors of all checks, in their order."""
    return [error for check in checks if (error := _error_of(check)) is not None]


async def all_awaited(checks: Iterable[Awaitable[object]]) -> list[UmsError]:
    """The same of checks that ask the database, one after the other."""
    found: list[UmsError] = []
    for check in checks:
        try:
            await check
        except UmsError as error:
            found.append(error)
    return found


def _error_of(check: Check) -> UmsError | None:
    try:
        check()
    except UmsError as error:
        return error
    return None
