"""What a caller of the management API may do: a scope is a noun and a verb.

`X:write` holds `X:read`, and `admin` holds everything.
"""

from collections.abc import Iterable
from typing import Literal, get_args

Scope = Literal[
    "admin",
    "audit:read",
    "callbacks:read",
    "callbacks:write",
    "channels:read",
    "channels:write",
    "lists:read",
    "lists:write",
    "materials:read",
    "materials:write",
    "messages:approve",
    "messages:read",
    "messages:send",
    "messages:write",
    "operators:read",
    "operators:write",
    "segments:read",
    "segments:write",
    "senders:approve",
    "senders:read",
    "senders:write",
    "stats:read",
    "strategies:read",
    "strategies:write",
    "templates:read",
    "templates:write",
    "tokens:read",
    "tokens:write",
    "users:read",
    "users:write",
]
SCOPES: frozenset[str] = frozenset(get_args(Scope))
"""Every scope there is."""

ALL, OWN = "all", "own"
"""Which callers a route or a page takes, as it declares by `channels`: only those that are bound to
no channels, or bound ones too, which it keeps to their own."""

OF_CHANNEL = frozenset(
    {
        "callbacks:write",
        "channels:read",
        "lists:write",
        "materials:write",
        "messages:send",
        "messages:write",
        "segments:read",
        "stats:read",
        "strategies:write",
        "templates:write",
        "users:write",
    }
)
"""What a channel's own key may do, with what is the channel's."""

OF_ACCESS_KEY = frozenset({"users:write"})
"""What the access key may do."""


_READING = frozenset(
    {
        "callbacks:read",
        "channels:read",
        "lists:read",
        "materials:read",
        "messages:read",
        "segments:read",
        "senders:read",
        "stats:read",
        "strategies:read",
        "templates:read",
        "users:read",
    }
)
OF_ROLE = {
    "administrator": frozenset({"admin"}),
    "operator": _READING
    | {
        "lists:write",
        "materials:write",
        "messages:approve",
        "messages:send",
        "messages:write",
        "segments:write",
        "templates:write",
        "users:write",
    },
    "viewer": _READING,
}
"""What an operator may do in the console, by its role."""


def holds(held: Iterable[str], scope: str) -> bool:
    """Whether `held` are enough for `scope`."""
    noun, _, verb = scope.partition(":")
    enough = {"admin", scope, *([f"{noun}:write"] if verb == "read" else [])}
    return not enough.isdisjoint(held)
