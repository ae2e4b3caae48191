"""What the menu offers to an operator."""

from typing import Final

from msgspec import Struct

from ums.console.current_operator import Visitor


class Entry(Struct, frozen=True):
    """A page of the menu; `word` is its name among the words."""

    path: str
    word: str
    scope: str = ""  # that it takes; empty: everybody's

    @property
    def section(self) -> str:
        return self.path.split("/")[1]


MENU: Final = (
    (
        "",
        (
            Entry("/home", "menu_home"),
        ),
    ),
    (
        "menu_sending",
        (
            Entry("/send", "menu_send", "messages:send"),
            Entry("/messages", "menu_messages", "messages:read"),
            Entry("/templates", "menu_templates", "templates:read"),
            Entry("/approvals", "menu_approvals", "messages:approve"),
            Entry("/statistics", "menu_statistics", "stats:read"),
        ),
    ),
    (
        "menu_people",
        (
            Entry("/users", "menu_users", "users:read"),
            Entry("/segments", "menu_segments", "segments:read"),
        ),
    ),
    (
        "menu_setup",
        (
            Entry("/channels", "menu_channels", "channels:read"),
            Entry("/senders", "menu_senders", "senders:read"),
            Entry("/replies", "menu_replies", "senders:read"),
            Entry("/materials", "menu_materials", "materials:read"),
            Entry("/words", "menu_words", "channels:write"),
        ),
    ),
    (
        "menu_administration",
        (
            Entry("/operators", "menu_operators", "operators:read"),
            Entry("/tokens", "menu_tokens", "tokens:read"),
            Entry("/audit", "menu_audit", "audit:read"),
            Entry("/settings", "menu_settings", "operators:read"),
        ),
    ),
    (
        "menu_more",
        (
            Entry("/sandbox", "sandbox"),
            Entry("/api/docs", "api"),
            Entry("/help", "help"),
            Entry("/about", "menu_about"),
        ),
    ),
)  # fmt: skip
"""Groups of pages, each with a word over it."""


HELP: Final = {
    "home": "start",
    "imports": "uploads",
    "tokens": "administration",
    "operators": "administration",
    "audit": "administration",
    "replies": "senders",
    "webhook-senders": "senders",
    "lists": "channels",
    "callbacks": "callbacks",
    "words": "channels",
    "strategies": "channels",
    "materials": "send",
    "settings": "administration",
    **{
        name: name
        for name in (
            "account",
            "approvals",
            "channels",
            "messages",
            "segments",
            "send",
            "senders",
            "statistics",
            "templates",
            "users",
        )
    },
}
"""Which part of the help a page leads to, by the words of its path; the last that is here."""


def help_of(path: str) -> str:
    """Where the help says more about the page at `path`."""
    parts = [HELP[part] for part in path.split("/") if part in HELP]
    return f"/help#{parts[-1]}" if parts else "/help"


def menu_of(visitor: Visitor | None) -> list[tuple[str, list[Entry]]]:
    """The groups with what this operator may open."""
    if visitor is None:
        return []
    found = [
        (word, [one for one in entries if not one.scope or visitor.may(one.scope)])
        for word, entries in MENU
    ]
    return [(word, entries) for word, entries in found if entries]
