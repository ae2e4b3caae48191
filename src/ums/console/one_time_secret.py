"""The page of a secret that is shown once. What made the secret leads here (POST, redirect, GET):
loading the page again shows the same secret and makes no other."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.rendering import AnyRequest, go, page
from ums.core.identity import one_time_secrets
from ums.errors import NotFound

NEXT: Final = {"token": "/tokens", "invitation": "/operators", "recovery": "/account"}


async def reveal(system: Any, visitor: Any, kind: str, **values: object) -> Response[str]:
    """To the page that shows the secret in `values` to the operator who made it."""
    id = await one_time_secrets.keep(system, visitor.signed_in.operator_id, kind, **values)
    return go(f"/shown/{id}")


@get("/shown/{shown_id:int}", scope="any", recent=True)
async def show(
    request: AnyRequest, system: System, visitor: Visitor, shown_id: FromPath[int]
) -> Response[str]:
    found = await one_time_secrets.find(system, visitor.signed_in.operator_id, shown_id)
    if found is None:
        raise NotFound("shown_over")
    return page(request, "shown.html", shown=found, **found.values)


@post("/shown/{shown_id:int}/done", scope="any")
async def done(system: System, visitor: Visitor, shown_id: FromPath[int]) -> Response[str]:
    """The operator has it: nothing shows it any more."""
    operator = visitor.signed_in.operator_id
    found = await one_time_secrets.find(system, operator, shown_id)
    await one_time_secrets.forget(system, operator, shown_id)
    if found is None:
        return go("/home")
    return go(found.values.get("where") or NEXT.get(found.kind, "/home"))


handlers = [show, done]
