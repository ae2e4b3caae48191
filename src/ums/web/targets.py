"""What no database holds, in the target of a request (its path and query), the same for every door.

In a path it names nothing, so the door answers "not found"; in a query it is refused. The check
stands right before each route, behind its door, so that whoever may not ask learns no more than
before, and each door tells it in its own form.
"""

from typing import Any, Final

from litestar import Litestar, Request
from litestar.routes import HTTPRoute

from ums.bounds import MOST_ID, is_storable
from ums.errors import Detail, Invalid, NotFound

_MOST_DIGITS: Final = len(str(MOST_ID))


async def refuse_unstorable(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound for a number or text in the path that no row can have, and Invalid for such
    a text in the query."""
    numbers = _numbers(request.scope["path"])
    for value in request.path_params.values():
        if isinstance(value, int):
            known = value in numbers and value <= MOST_ID
        else:
            known = is_storable(str(value))
        if not known:
            raise NotFound("not_found")
    for name, value in request.query_params.multi_items():
        if not is_storable(value):
            raise Invalid("bad_filter", field=name[:40], detail=Detail("odd_character"))


def _numbers(path: str) -> set[int]:
    """Those of a path; int() alone would read the digits of any script."""
    parts = [part for part in path.split("/") if part.isascii() and part.isdigit()]
    return {int(part) for part in parts if len(part) <= _MOST_DIGITS}


def settle(app: Litestar) -> None:
    """Raises RuntimeError for a route that goes past the check."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method != "OPTIONS" and handler.resolve_before_request() is None:
                    raise RuntimeError(f"{method} {route.path} does not check what is asked for")
