"""Who may look at the sandbox without signing in."""

from typing import Any

from litestar.connection import ASGIConnection

from ums.console.guests import is_guest

Connection = ASGIConnection[Any, Any, Any, Any]


def is_local(connection: Connection) -> bool:
    """Whether somebody asks whom the link of `ums serve` let in.

    An address is no proof: a proxy on this machine asks from the same one for anybody.
    """
    return is_guest(connection)
