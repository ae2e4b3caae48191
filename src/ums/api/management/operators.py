"""Operators: the people who may look into the console."""

from typing import Annotated

from litestar import Response, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from ums.api.management.dependencies import Paging, System, expected, shown
from ums.core.common import operator_names
from ums.core.common.pagination import Page
from ums.core.common.sorting import ByName
from ums.core.identity import operators
from ums.core.identity.operators import OperatorInfo, Role
from ums.core.identity.passwords import LONGEST, SHORTEST
from ums.web.bodies import BoundedRequest as Call

Password = Annotated[str, Meta(min_length=SHORTEST, max_length=LONGEST)]


class NewOperator(Struct, frozen=True, forbid_unknown_fields=True):
    """An operator to be made."""

    name: operator_names.OperatorName
    password: Password
    role: Role


class OperatorChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; what is left out or null stays."""

    role: Role | None = None
    password: Password | None = None
    disabled: bool | None = None


@get("/api/operators", scope="operators:read", channels="all")
async def list_operators(
    system: System,
    paging: Paging,
    sort: FromQuery[ByName] = "created_at",
) -> Page[OperatorInfo]:
    """All operators, in the order they were made."""
    return await operators.list_operators(system, sort=sort, after=paging.after, limit=paging.limit)


@post("/api/operators", scope="operators:write", channels="all")
async def create_operator(
    system: System, request: Call, data: JSONBody[NewOperator]
) -> Response[OperatorInfo]:
    """Make an operator with rights that the caller has."""
    made = await operators.create(system, data.name, data.password, data.role)
    return shown(request, made, 201)


@get("/api/operators/{name:str}", scope="operators:read", channels="all")
async def show_operator(
    system: System, request: Call, name: FromPath[str]
) -> Response[OperatorInfo]:
    """An operator."""
    return shown(request, await operators.show(system, name))


@patch("/api/operators/{name:str}", scope="operators:write", channels="all")
async def change_operator(
    system: System,
    request: Call,
    name: FromPath[str],
    data: JSONBody[OperatorChange],
) -> Response[OperatorInfo]:
    """Change role or password, disable or enable one who has no more rights than the caller. One
    administrator for all channels is always left."""
    changed = await operators.change(
        system,
        name,
        role=data.role,
        password=data.password,
        disabled=data.disabled,
        expect=expected(request),
    )
    return shown(request, changed)


handlers = [list_operators, create_operator, show_operator, change_operator]
