"""How many connections there are, in all and of each client, and which one makes room."""

import time
from collections import defaultdict
from collections.abc import Callable
from enum import IntEnum
from typing import Final, Protocol

from ums.config import Settings
from ums.networks import client_network
from ums.web.proxies import Proxies

GRACE: Final = 1.0  # seconds in a stage before its place in the order of stages counts


class Stage(IntEnum):
    """How far a connection's request has come; the lower is given up first."""

    IDLE = 0
    HEAD = 1  # a part of a head; or the rest of a body that nobody reads any more
    BODY = 2  # a body that may be one of those that anybody may send
    LARGE = 3  # a body of which a handler has taken more than such a one may have
    WORK = 4  # a whole request, which is never given up


class Connection(Protocol):
    """A connection as the limits see it."""

    def make_room(self) -> None:
        """Close, as no whole request is under way."""


class _Queues:
    """Connections without a whole request: each stage in the order in which it was entered."""

    def __init__(self) -> None:
        self._of: list[dict[Connection, float]] = [{} for _ in range(Stage.WORK)]

    def add(self, connection: Connection, stage: Stage, at: float) -> None:
        if stage < Stage.WORK:
            self._of[stage][connection] = at

    def remove(self, connection: Connection, stage: Stage) -> None:
        if stage < Stage.WORK:
            self._of[stage].pop(connection, None)

    def first(self, now: float) -> Connection | None:
        """The first of the lowest stage in which one has been for a while, else of all.

        A client that has just connected is thus not given up for those with half a body.
        """
        firsts = [next(iter(queue.items())) for queue in self._of if queue]
        ripe = [connection for connection, at in firsts if now - at >= GRACE]
        if ripe:
            return ripe[0]
        return min(firsts, key=lambda one: one[1])[0] if firsts else None


class _Client:
    """The connections of one client."""

    def __init__(self) -> None:
        self.count = 0
        self.queues = _Queues()


class Census:
    """The open connections of this process.

    Where one more would be too many, one without a whole request makes room: an idle one, one
    with a part of a head, one with a part of a body, in this order. One with a whole request
    never does.
    """

    def __init__(
        self, settings: Settings, proxies: Proxies, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._proxies, self._now = proxies, now
        self._most, self._most_of = settings.http_connections, settings.http_connections_per_address
        self._all: dict[Connection, tuple[str, Stage]] = {}
        self._queues = _Queues()
        self._clients: defaultdict[str, _Client] = defaultdict(_Client)

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, connection: Connection, address: str) -> bool:
        """Count a new connection; False when it is one too many and none can make room."""
        # A proxy has as many as it has clients. Its own limit per client is for it to set.
        limited = not self._proxies.trusts(address)
        network = client_network(address)
        if limited and self._is_full(network):
            self._evict(self._clients[network].queues)
        if len(self._all) >= self._most:
            self._evict(self._queues)
        if len(self._all) >= self._most or (limited and self._is_full(network)):
            return False
        self._clients[network].count += 1
        self._put(connection, network, Stage.IDLE)
        return True

    def _is_full(self, network: str) -> bool:
        return network in self._clients and self._clients[network].count >= self._most_of

    def _evict(self, queues: _Queues) -> None:
        connection = queues.first(self._now())
        if connection is not None:
            self.leave(connection)
            connection.make_room()

    def _put(self, connection: Connection, network: str, stage: Stage) -> None:
        self._all[connection] = network, stage
        for queues in (self._queues, self._clients[network].queues):
            queues.add(connection, stage, self._now())

    def _take(self, connection: Connection) -> str:
        network, stage = self._all.pop(connection)
        for queues in (self._queues, self._clients[network].queues):
            queues.remove(connection, stage)
        return network

    def stands(self, connection: Connection, stage: Stage) -> None:
        """It has come to a stage, or is still in it."""
        if connection in self._all and self._all[connection][1] != stage:
            self._put(connection, self._take(connection), stage)

    def leave(self, connection: Connection) -> None:
        """It is closed, or is being closed."""
        if connection not in self._all:
            return
        network = self._take(connection)
        self._clients[network].count -= 1
        if not self._clients[network].count:
            del self._clients[network]
