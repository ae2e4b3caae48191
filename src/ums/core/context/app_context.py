"""A running UMS as every door sees it: settings, database, key and directory."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from ums.config import Settings
from ums.core.common.encryption import SecretBox
from ums.core.common.rate_limiter import RateLimiter
from ums.core.common.ttl_cache import TtlCache
from ums.core.context.channel_policy import NO_RULES
from ums.core.context.directory import Directory
from ums.core.net.ssrf_guard import Guard, parse_networks
from ums.core.transports.registry import transports
from ums.db import Database

T = TypeVar("T")


class AppContext:
    """What the verbs of `core` need; opened once per process."""

    def __init__(self, settings: Settings, database: Database, seal: SecretBox) -> None:
        self.settings = settings
        self.default_settings = Settings()
        self.database = database
        self.seal = seal
        self.directory = Directory(database)
        seal.follow(lambda: self.directory.sealing_key)
        self.rates = RateLimiter(NO_RULES.requests_per_second)
        self.recent = TtlCache()
        self._shared: dict[Callable[[Database], Any], Any] = {}
        # The engine adds the sandbox.
        self.types = transports(ehlo_name=settings.ehlo_name, guard=self.webhook_guard)
        self.wake = asyncio.Event()  # set when there is new work for this process's engine
        self.halted = asyncio.Event()  # the same, when a message was halted or resumed

    def shared(self, kind: Callable[[Database], T]) -> T:
        """The one object of `kind` in this process, made on first use: a cache or a counter that
        belongs to a package above this one."""
        if kind not in self._shared:
            self._shared[kind] = kind(self.database)
        return self._shared[kind]

    def webhook_guard(self) -> Guard:
        """Which addresses callbacks and webhook senders may reach."""
        return Guard(parse_networks(self.settings.callback_allow, "CALLBACK_ALLOW"))

    @property
    def settings(self) -> Settings:
        """As this process was started with, and where the environment says nothing, as they were
        changed while UMS runs."""
        changed = self.directory.settings
        if changed is not self._changed:
            own = {
                name: value for name, value in changed.items() if name not in self.fixed_settings
            }
            self._settings, self._changed = msgspec.structs.replace(self._started, **own), changed
        return self._settings

    @settings.setter
    def settings(self, started: Settings) -> None:
        self._started = self._settings = started
        self._changed: dict[str, Any] = {}

    @property
    def fixed_settings(self) -> set[str]:
        """The ones that the environment sets to something else than their default."""
        given, usual = self._started, self.default_settings
        names = Settings.__struct_fields__
        return {name for name in names if getattr(given, name) != getattr(usual, name)}
