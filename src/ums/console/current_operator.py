"""Who looks at a page: an operator who is signed in."""

from typing import Any

from litestar import Request
from litestar.datastructures import Cookie
from msgspec import Struct

from ums.console import cookies
from ums.core.identity.grants import ALL
from ums.core.identity.known_devices import GOOD_FOR
from ums.core.identity.login import Client, SignIn
from ums.core.identity.operator_access import required_roles
from ums.core.identity.principals import Principal
from ums.core.identity.scopes import OF_ROLE, holds
from ums.core.identity.sessions import LONGEST, SignedIn
from ums.web.edge import address_of

AnyRequest = Request[Any, Any, Any]


class Visitor(Struct, frozen=True):
    """An operator in front of a browser; as `caller` it has the rights of its role."""

    signed_in: SignedIn
    caller: Principal
    factor_required: bool = False  # by its role

    @property
    def name(self) -> str:
        return self.signed_in.name

    @property
    def zone(self) -> str:
        """In which zone pages show it times; "" for the browser's."""
        return self.signed_in.zone

    @property
    def factor_first(self) -> bool:
        """Whether a second factor has to be set up before anything else."""
        return self.factor_required and not self.signed_in.two_factor

    @property
    def may_protect(self) -> bool:
        """Whether it may change the rules that protect others from a channel's own people."""
        return self.caller.grantor.rights.cover(ALL)

    def may(self, scope: str) -> bool:
        return holds(self.caller.scopes, scope)


async def visitor_of(request: AnyRequest, signed_in: SignedIn) -> Visitor:
    snapshot = await request.app.state.system.directory.now()
    caller = Principal(
        name=f"operator:{signed_in.name}"[:60],
        scopes=OF_ROLE[signed_in.role],
        channels=signed_in.channels,
        snapshot=snapshot,
        operator_id=signed_in.operator_id,
    )
    required = signed_in.role in required_roles(request.app.state.system)
    return Visitor(signed_in, caller, required)


def current(request: AnyRequest) -> Visitor | None:
    """Who looks; None on the pages that anybody may see."""
    return request.scope["state"].get("visitor")


def session_cookie(request: AnyRequest, token: str) -> Cookie:
    """The cookie of a session; an empty `token` takes it away."""
    return cookies.make(request, cookies.SESSION, token, LONGEST // 1000)


def cookies_of(request: AnyRequest, done: SignIn) -> list[Cookie]:
    """What the browser keeps of a sign-in."""
    device = cookies.make(request, cookies.DEVICE, done.device, GOOD_FOR // 1000)
    return [session_cookie(request, done.session), device]


def client_of(request: AnyRequest) -> Client:
    """From where somebody signs in."""
    agent = request.headers.get("user-agent", "")
    return Client(
        address_of(request.scope),
        agent,
        device=cookies.read(request, cookies.DEVICE),
        session=cookies.read(request, cookies.SESSION),
    )


def inside(where: str) -> str:
    """`where`, if it is a page of ours: never another site's."""
    inside = where.startswith("/") and not where.startswith(("//", "/\\")) and where.isprintable()
    return where if inside else "/home"
