"""Who may grant what: nobody gives, or takes from others, what it has not itself.

Every door says who asks with `asking`; a function of `core` that grants something, or that
changes somebody, calls `need` with the rights that are at stake. So it holds on every road that
leads to the function, and a new road needs no check of its own.

    grants.need(Rights(OF_ROLE[role], channels))      # before it makes an operator
    grants.need(rights_of(operator))                  # before it changes one

An operator whose rights are not all the caller's own stands above the caller. What no door asks
for, such as a first start, is the installation's own.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from msgspec import Struct

from ums.core.identity.scopes import holds
from ums.errors import Forbidden


class Rights(Struct, frozen=True):
    """What somebody may do, and with which channels."""

    scopes: frozenset[str]
    channels: frozenset[int] | None = None  # ids; None: every channel

    def cover(self, others: "Rights") -> bool:
        """Whether they hold all that `others` hold."""
        return self.lacks(others) is None and self.reaches(others.channels)

    def lacks(self, others: "Rights") -> str | None:
        """A scope of `others` that is not among these."""
        return next((one for one in sorted(others.scopes) if not holds(self.scopes, one)), None)

    def reaches(self, channels: frozenset[int] | None) -> bool:
        return self.channels is None or (channels is not None and channels <= self.channels)

    def shared(self, others: "Rights") -> "Rights":
        """What both hold."""
        mine = {one for one in self.scopes if holds(others.scopes, one)}
        theirs = {one for one in others.scopes if holds(self.scopes, one)}
        bounds = [one for one in (self.channels, others.channels) if one is not None]
        return Rights(frozenset(mine | theirs), frozenset.intersection(*bounds) if bounds else None)


class Grantor(Struct, frozen=True):
    """Who asks: its rights, and whose they are, for what it makes lasts no longer."""

    rights: Rights
    operator_id: int | None = None
    token_id: int | None = None


ALL: Final = Rights(frozenset({"admin"}))
LOCAL: Final = Grantor(ALL)
"""Somebody with access to the machine."""
NOBODY: Final = Grantor(Rights(frozenset(), frozenset()))
"""A stranger, and whoever comes by a door that says nothing."""

_grantor: ContextVar[Grantor] = ContextVar("grantor", default=LOCAL)


@contextmanager
def asking(grantor: Grantor) -> Generator[None]:
    """What is asked for in this block is asked for by `grantor`."""
    token = _grantor.set(grantor)
    try:
        yield
    finally:
        _grantor.reset(token)


def distrust() -> None:
    """Whatever is asked for from here on has no rights, until a door says whose it is."""
    _grantor.set(NOBODY)


def grantor() -> Grantor:
    """Who asks."""
    return _grantor.get()


def need(rights: Rights) -> None:
    """Raises Forbidden unless the caller has all of these itself."""
    own = _grantor.get().rights
    lacking = own.lacks(rights)
    if lacking is not None:
        raise Forbidden("scope_beyond", scope=lacking)
    if not own.reaches(rights.channels):
        raise Forbidden("channels_beyond")


def need_over(rights: Rights) -> None:
    """Raises Forbidden unless whoever has these rights may be changed by the caller."""
    if not _grantor.get().rights.cover(rights):
        raise Forbidden("stands_above")
