"""How many connections there are, in all and of each address, and which one makes room."""

from collections import defaultdict
from typing import Protocol

from ums.config import Settings
from ums.web.proxies import Proxies


class Connection(Protocol):
    """A connection as the limits see it."""

    def make_room(self) -> None:
        """Close, as no request is under way."""


class Census:
    """The open connections of this process.

    Where one more would be too many, the connection that has waited longest without a whole
    request makes room; one whose request is being answered never does.
    """

    def __init__(self, settings: Settings, proxies: Proxies) -> None:
        self._proxies = proxies
        self._most, self._most_of = settings.connections, settings.connections_per_address
        self._all: dict[Connection, str] = {}
        self._waiting: dict[Connection, None] = {}
        self._waiting_of: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self._count_of: defaultdict[str, int] = defaultdict(int)

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, connection: Connection, address: str) -> bool:
        """Count a new connection; False when it is one too many and none can make room."""
        # A proxy has as many as it has clients. Its own limit per client is for it to set.
        limited = not self._proxies.trusts(address)
        if limited and self._count_of[address] >= self._most_of:
            self._evict(self._waiting_of[address])
        if len(self._all) >= self._most:
            self._evict(self._waiting)
        over = limited and self._count_of[address] >= self._most_of
        if over or len(self._all) >= self._most:
            return False
        self._all[connection] = address
        self._count_of[address] += 1
        self.waits(connection)
        return True

    def _evict(self, waiting: dict[Connection, None]) -> None:
        for connection in waiting:
            self.leave(connection)
            connection.make_room()
            return

    def waits(self, connection: Connection) -> None:
        """It has no request, or a part of a head."""
        address = self._all.get(connection)
        if address is not None:
            self._waiting[connection] = self._waiting_of[address][connection] = None

    def works(self, connection: Connection) -> None:
        """It has sent a head."""
        address = self._all.get(connection)
        if address is not None:
            self._waiting.pop(connection, None)
            self._waiting_of[address].pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """It is closed, or is being closed."""
        self.works(connection)
        address = self._all.pop(connection, None)
        if address is None:
            return
        self._count_of[address] -= 1
        if not self._count_of[address]:
            del self._count_of[address]
            self._waiting_of.pop(address, None)
