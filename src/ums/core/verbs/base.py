"""What a verb is, and the parameters that several share."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Struct

from ums.core.common.pagination import MOST
from ums.core.context.app_context import AppContext
from ums.core.messages.intake import Intake

Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Limit = Annotated[int, Meta(ge=1, le=MOST)]  # how many on a page
Hours = Annotated[float, Meta(ge=0, le=366 * 24)]


class Nothing(Struct):
    pass


class Verb(NamedTuple):
    """Something an administrator can do: its parameters, and the function that does it."""

    params: type[Struct]
    run: Callable[[AppContext, Intake, Any], Awaitable[object]]
    steps: Callable[[AppContext, Any], Awaitable[AsyncGenerator[object]]] | None = (
        None  # as they go
    )
