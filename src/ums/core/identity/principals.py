"""Who calls the management API, what they may do, and which channels they see."""

from msgspec import Struct

from ums.core.context.app_context import AppContext
from ums.core.context.directory import AccessKey, Channel, Snapshot
from ums.core.identity import api_tokens
from ums.core.identity.api_throttle import ApiThrottle
from ums.core.identity.credentials import authenticate
from ums.core.identity.grants import Grantor, Rights
from ums.core.identity.scopes import OF_ACCESS_KEY, OF_CHANNEL, holds
from ums.errors import Forbidden, Invalid, NotAuthenticated, NotFound


class Principal(Struct, frozen=True):
    """Somebody whose credentials are good."""

    name: str  # as the audit log has it
    scopes: frozenset[str]
    channels: frozenset[int] | None  # ids of those it is bound to; None: it sees every one
    snapshot: Snapshot
    account: Channel | AccessKey | None = None  # what its key is of; None with a token
    operator_id: int | None = None
    token_id: int | None = None

    @property
    def grantor(self) -> Grantor:
        """The same as somebody who may grant what it has."""
        return Grantor(Rights(self.scopes, self.channels), self.operator_id, self.token_id)

    def need(self, scope: str) -> None:
        """Raises Forbidden when the caller may not do this."""
        if holds(self.scopes, scope):
            return
        if isinstance(self.account, AccessKey):
            raise Forbidden("channel_only")
        if isinstance(self.account, Channel):
            raise Forbidden("not_for_channels", scope=scope)
        raise Forbidden("scope_missing", scope=scope)

    def unbound(self) -> None:
        """Raises Forbidden for a caller that is bound to channels: this is about more."""
        if self.channels is not None:
            raise Forbidden("caller_bound")

    def may_see_secret(self, channel: Channel) -> bool:
        """Whether the MasterSecret of `channel` is in its hands anyway: it is the channel's own
        key, or may replace that secret and do all that the secret allows."""
        if isinstance(self.account, Channel):
            return self.account.id == channel.id
        replacing = Rights(OF_CHANNEL | {"channels:write"}, frozenset({channel.id}))
        return Rights(self.scopes, self.channels).cover(replacing)

    def sees(self, channel_id: int) -> bool:
        return self.channels is None or channel_id in self.channels

    def channel(self, key: str | None = None) -> Channel:
        """The channel `key`, or the only one the caller is bound to.

        Raises NotFound for one that is not there or not the caller's, Invalid where it has to
        be said which.
        """
        if key is None:
            return self._only()
        channel = self.snapshot.channels.get(key)
        if channel is None or not self.sees(channel.id):
            raise NotFound("channel_unknown", key=key[:40])
        return channel

    def _only(self) -> Channel:
        known = [self.snapshot.channel_ids.get(id) for id in self.channels or ()]
        if len(known) != 1 or known[0] is None:
            raise Invalid("missing", field="channel")
        return known[0]

    def among(self, key: str | None) -> frozenset[int] | None:
        """The ids of the channels a list is of: all the caller sees, or the one it names."""
        return self.channels if key is None else frozenset({self.channel(key).id})

    def bind_ids(self) -> frozenset[str] | None:
        """The bind ids whose values of users it sees; None: all."""
        if self.channels is None:
            return None
        found = {"all"}
        for channel in (self.snapshot.channel_ids.get(id) for id in self.channels):
            if channel is not None:
                found.add(channel.key)
                found |= {self.snapshot.senders[id].code for id in channel.senders}
        return frozenset(found)


async def caller_of(system: AppContext, authorization: str | None, address: str) -> Principal:
    """Whose credentials the header holds: a token's, a channel's or the access key's. `address`
    sends them.

    Raises NotAuthenticated, and Busy for a wrong one after too many others.
    """
    scheme, *given = (authorization or "").split(None, 1) or [""]
    if scheme.lower() == "bearer":
        text = "".join(given).strip()
        async with system.shared(ApiThrottle).verifying("", address):
            return await _bearer(system, text)
    if scheme.lower() != "basic":
        raise NotAuthenticated("no_credentials")
    account = await authenticate(system, authorization, address)
    snapshot = await system.directory.now()
    if isinstance(account, AccessKey):
        return Principal(f"accesskey:{account.key}", OF_ACCESS_KEY, None, snapshot, account)
    own = frozenset({account.id})
    return Principal(f"channel:{account.key}", OF_CHANNEL, own, snapshot, account)


async def _bearer(system: AppContext, given: str) -> Principal:
    token = (
        await api_tokens.authenticate(system, given)
        if given.startswith(api_tokens.PREFIX)
        else None
    )
    if token is None:
        raise NotAuthenticated("bad_token")
    snapshot = await system.directory.now()
    name = f"token:{token.id}:{token.name}"[:60]
    return Principal(name, token.scopes, token.channels, snapshot, token_id=token.id)
