"""Who is calling: Basic credentials of a channel or of the access key (ums-spec 3.1)."""

import base64
import hmac
import secrets

import structlog
from msgspec import Struct
from sqlalchemy import insert

from ums import clock
from ums.core.audit import audit_log
from ums.core.common.encryption import SecretBox
from ums.core.context.app_context import AppContext
from ums.core.context.directory import AccessKey, Channel
from ums.core.identity import grants
from ums.core.identity.api_throttle import ApiThrottle
from ums.core.identity.grants import Rights
from ums.core.identity.scopes import OF_ACCESS_KEY, OF_CHANNEL
from ums.core.tables import access_keys
from ums.errors import Broken, Invalid, NotAuthenticated

log = structlog.get_logger()
Caller = Channel | AccessKey
_NOBODY = "nobody"


class AccessKeySecret(Struct, frozen=True):
    """A new access key; the secret is shown this once."""

    accesskey: str
    mastersecret: str


def new_key() -> str:
    return secrets.token_hex(12)


def need_secret(channel_id: int | None) -> None:
    """Raises Forbidden for a caller that may not be shown the MasterSecret of this channel, or of
    a new one: who has it may do all that the channel may."""
    grants.need(Rights(OF_CHANNEL, None if channel_id is None else frozenset({channel_id})))


def channel_context(key: str) -> str:
    return f"channel:{key}"


def access_key_context(key: str) -> str:
    return f"accesskey:{key}"


async def create_access_key(system: AppContext) -> AccessKeySecret:
    """Make a further access key pair. Raises Forbidden for a caller that has not its rights."""
    grants.need(Rights(OF_ACCESS_KEY))
    made = AccessKeySecret(new_key(), new_key())
    row = {
        "key": made.accesskey,
        "secret": system.seal.close(made.mastersecret, access_key_context(made.accesskey)),
        "created_at": clock.now(),
    }
    async with system.directory.change() as tx:
        await tx.run(insert(access_keys), row)
        await audit_log.note(tx, "accesskey.create", made.accesskey, after={"key": made.accesskey})
    return made


async def authenticate(system: AppContext, authorization: str | None, address: str) -> Caller:
    """The caller whose credentials the header holds; `address` sends them. Raises
    NotAuthenticated, and Busy for a wrong one after too many others."""
    if not authorization or authorization.isspace():
        raise NotAuthenticated("no_credentials")
    key, secret = _basic(authorization)
    async with system.shared(ApiThrottle).verifying(key, address):
        return await _known(system, key, secret)


async def _known(system: AppContext, key: str, secret: str) -> Caller:
    try:
        return await _find(system, key, secret)
    except NotAuthenticated:
        # Another process may have made the key a moment ago.
        if not system.directory.doubt():
            raise
    return await _find(system, key, secret)


async def _find(system: AppContext, key: str, secret: str) -> Caller:
    now = await system.directory.now()
    channel = now.channels.get(key)
    access_key = now.access_keys.get(key)
    if channel is not None or access_key is not None:
        audit_log.about(f"{'channel' if channel is not None else 'accesskey'}:{key}")
    if channel is not None and _channel_secret(system.seal, channel, secret):
        return channel
    if access_key is not None and _same(
        _opened(system.seal, access_key.secret, access_key_context(key)), secret
    ):
        return access_key
    if channel is None and access_key is None:
        # The same work as for a known key, so that timing does not tell which keys exist.
        _same(system.seal.open(system.seal.close(_NOBODY, _NOBODY), _NOBODY), secret)
    raise NotAuthenticated("bad_credentials")


def _basic(header: str) -> tuple[str, str]:
    scheme, *encoded = header.split(None, 1)  # by however many blanks
    if scheme.lower() != "basic":
        raise NotAuthenticated("no_credentials")
    try:
        text = base64.b64decode("".join(encoded).strip(), validate=True).decode()
    except ValueError:  # of base64 and of UTF-8, and where the header is not ASCII
        raise NotAuthenticated("bad_credentials") from None
    key, colon, secret = text.partition(":")
    if not colon:
        raise NotAuthenticated("bad_credentials")
    return key, secret


def _channel_secret(seal: SecretBox, channel: Channel, given: str) -> bool:
    context = channel_context(channel.key)
    if _same(_opened(seal, channel.secret, context), given):
        return True
    if channel.old_secret is None or (channel.old_secret_until or 0) <= clock.now():
        return False
    return _same(_opened(seal, channel.old_secret, context), given)


def _opened(seal: SecretBox, sealed: str, context: str) -> str:
    try:
        return seal.open(sealed, context)
    except Invalid as error:
        # Our key is wrong and not the caller's, who shall neither mend it nor know of it.
        log.critical("a stored secret cannot be read; see `ums doctor`", detail=str(error))
        raise Broken("broken") from None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
