"""All that is wrong with what somebody typed: a form tells it at once, where a program is told
what is found first."""

from collections.abc import Callable, Iterable

from ums.errors import UmsError

Check = Callable[[], object]
"""Raises UmsError for what is wrong."""


def all_of(checks: Iterable[Check]) -> list[UmsError]:
    """The errors of all checks, in their order."""
    return [error for check in checks if (error := _error_of(check)) is not None]


def _error_of(check: Check) -> UmsError | None:
    try:
        check()
    except UmsError as error:
        return error
    return None
