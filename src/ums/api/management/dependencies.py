"""What the routes of the management API share: paging, times, ETags."""

import hashlib
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Response
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter, SkipValidation
from msgspec import UNSET, Meta, Struct
from msgspec.structs import replace

from ums.bounds import said
from ums.core.audit import audit_log
from ums.core.common.pagination import MOST, Page
from ums.core.common.preconditions import Expect
from ums.core.common.timestamps import milliseconds
from ums.core.context import app_context as systems
from ums.core.identity import principals
from ums.errors import Outdated
from ums.web.bodies import BoundedRequest as Call

T = TypeVar("T")
P = TypeVar("P", bound=Page)
SHOWN_ONCE = ("mastersecret", "token")


def partly(struct: type[Struct]) -> Meta:
    """Of a body that is an object of some members of `struct`, each of which may be null."""
    whole = msgspec.json.schema(struct)
    known = inlined(whole, whole["$defs"])["properties"]
    members = {name: {"anyOf": [shape, {"type": "null"}]} for name, shape in known.items()}
    return said(properties=members, additionalProperties=False)


def inlined(schema: Any, components: dict[str, Any]) -> Any:
    """`schema` with what it refers to in place."""
    if isinstance(schema, list):
        return [inlined(one, components) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return inlined(components[schema["$ref"].rpartition("/")[2]], components)
    return {name: inlined(one, components) for name, one in schema.items() if name != "default"}


class Part(Struct, frozen=True):
    """Which part of a list is wanted: `core.common.pagination` makes it."""

    limit: int
    after: str | None


# What a route asks for by naming it among its parameters.
System = NamedDependency[SkipValidation[systems.AppContext]]
Caller = NamedDependency[SkipValidation[principals.Principal]]
Paging = NamedDependency[SkipValidation[Part]]
Moment = FromQuery[datetime | None]
ChannelKey = Annotated[str | None, QueryParameter(description="A ChannelKey.")]


def paging(
    limit: Annotated[int, QueryParameter(ge=1, le=MOST, description="Items in a part.")] = 50,
    after: Annotated[
        str | None, QueryParameter(min_length=1, description="`next` of the part before.")
    ] = None,
) -> Part:
    return Part(limit, after)


def caller(request: Call) -> principals.Principal:
    """Who calls, as the door found."""
    return request.scope["auth"]


def listed(page: P) -> P:
    """A page of people or addresses, which the audit log counts."""
    audit_log.gave(len(page.items))
    return page


def system(request: Call) -> systems.AppContext:
    return request.app.state.system


def ms(moment: datetime | None, field: str) -> int | None:
    """A time of the request as milliseconds. Raises Invalid."""
    return None if moment is None else milliseconds(moment, field)


def etag(resource: object) -> str:
    """Tells two states of a thing apart: a hash of how it is shown, but for its secrets."""
    for name in SHOWN_ONCE:
        if isinstance(resource, Struct) and getattr(resource, name, UNSET) is not UNSET:
            resource = replace(resource, **{name: UNSET})
    return f'"{hashlib.blake2b(msgspec.json.encode(resource), digest_size=12).hexdigest()}"'


def shown(request: Call, resource: T, status: int = 200) -> Response[T]:
    """`resource` with its ETag; 304 and nothing when the caller has it already."""
    tag = etag(resource)
    if request.method == "GET" and _names(request.headers.get("if-none-match"), tag):
        nothing: Response[Any] = Response(None, status_code=304, headers={"ETag": tag})
        return nothing
    return Response(resource, status_code=status, headers={"ETag": tag})


def expected(request: Call) -> Expect:
    """Raises Outdated for a thing that is not what the caller's If-Match names, and for one that
    is there where If-None-Match is `*`; None stands for a thing that is not there."""
    given = request.headers.get("if-match")
    new = request.headers.get("if-none-match", "").strip() == "*"

    def check(resource: object) -> None:
        there = resource is not None
        seen = given is None or (there and _names(given, etag(resource), weak=False))
        if not seen or (new and there):
            raise Outdated("outdated")

    return check


def _names(header: str | None, tag: str, *, weak: bool = True) -> bool:
    for one in (header or "").split(","):
        name = one.strip()
        if name in ("*", tag) or (weak and name.removeprefix("W/") == tag):
            return True
    return False
