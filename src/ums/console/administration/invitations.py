"""Accepting an invitation: the page behind its link."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.current_operator import client_of
from ums.console.dependencies import System
from ums.console.forms import Form, check_again, given, refused
from ums.console.rendering import AnyRequest, go, page
from ums.core.identity import invitations, login, operators
from ums.errors import UmsError


@get("/invitation/{token:str}", scope="open")
async def invitation(request: AnyRequest, system: System, token: FromPath[str]) -> Response[str]:
    found = await _invitation(request, system, token)
    form = Form({"name": "", "password": "", "again": ""})
    return page(request, "administration/invitation.html", form=form, found=found, token=token)


async def _invitation(request: AnyRequest, system: Any, token: str) -> invitations.Invitation:
    async with login.invited(system, client_of(request)):
        return await invitations.find(system, token)


@post("/invitation/{token:str}", scope="open", body="open")
async def accept(request: AnyRequest, system: System, token: FromPath[str]) -> Response[str]:
    found, fields = await _invitation(request, system, token), await given(request)
    name, password = fields.get("name", "").strip(), fields.get("password", "")
    try:
        check_again(fields)
        await invitations.accept(system, token, name, password)
    except UmsError as error:
        others = await operators.errors_of(system, name, password)
        form = refused(request, {"name": name, "password": "", "again": ""}, error, others=others)
        return page(
            request,
            "administration/invitation.html",
            status=error.status,
            form=form,
            found=found,
            token=token,
        )
    return go("/login", "administration.did_accept")


handlers = [invitation, accept]
