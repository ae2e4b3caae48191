"""Edits that must not run over somebody else's: what the caller saw has to be there still."""

from collections.abc import Callable

Expect = Callable[[object], None]
"""Looks at the thing as it is, inside the transaction that will change it, and raises
`ums.errors.Outdated` when it is not what the caller has seen."""


def anything(_: object) -> None:
    """Whatever it is now may be changed."""
