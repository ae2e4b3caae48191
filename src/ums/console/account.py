"""Signing in and out, and an operator's own account."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console import two_factor
from ums.console.current_operator import client_of, cookies_of, current, inside, session_cookie
from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, check_again, given, refused, wait
from ums.console.rendering import AnyRequest, go, page
from ums.console.time_zones import known_zones, zone_of
from ums.core.audit import audit_log
from ums.core.common.field_errors import Check, all_awaited, all_of
from ums.core.identity import login as signing_in
from ums.core.identity import operator_access, operators, passwords, sessions
from ums.core.identity.proofs import Proof
from ums.core.identity.two_factor import codes_left
from ums.errors import Invalid, UmsError


@get("/login", scope="open")
async def login(request: AnyRequest) -> Response[str]:
    if current(request) is not None:
        return go("/home")
    form = Form({"name": "", "password": "", "next": request.query_params.get("next", "")})
    return page(request, "account/login.html", form=form)


@post("/login", scope="open", body="open")
async def log_in(request: AnyRequest, system: System) -> Response[str]:
    fields = await given(request)
    name, password, client = fields.get("name", ""), fields.get("password", ""), client_of(request)
    audit_log.about(name)
    values = {"name": name, "password": "", "next": fields.get("next", "")}
    try:
        operator = await signing_in.check_password(system, name, password, client)
        if operator.two_factor:
            return two_factor.ask(request, system, operator, values["next"])
        done = await signing_in.sign_in(system, operator, client)
    except UmsError as error:
        form, status = refused(request, values, error), error.status
        return page(request, "account/login.html", status=status, headers=wait(error), form=form)
    return go(inside(values["next"]), cookies=cookies_of(request, done))


@post("/logout", scope="any")
async def log_out(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    audit_log.about(visitor.name)
    await sessions.end(system, visitor.signed_in.session_id)
    return go("/login", cookies=[session_cookie(request, "")])


@get("/account", scope="any")
async def account(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """Password and sessions."""
    return await _account(request, system, visitor, Form({"zone": visitor.zone}))


async def _account(
    request: AnyRequest, system: Any, visitor: Any, form: Form, status: int = 200
) -> Response[str]:
    id = visitor.signed_in.operator_id
    found, left = await sessions.list_sessions(system, id), await codes_left(system, id)
    return page(
        request,
        "account/account.html",
        status=status,
        sessions=found,
        codes_left=left,
        zone_form=form,
        zones=known_zones(),
    )


@post("/account/zone", scope="any")
async def change_zone(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """In which time zone pages show times; an empty one is the browser's."""
    name = (await given(request)).get("zone", "").strip()
    try:
        await sessions.set_zone(system, visitor.signed_in.operator_id, zone_of(name) and name)
    except UmsError as error:
        form = refused(request, {"zone": name}, error)
        return await _account(request, system, visitor, form, error.status)
    return go("/account", "account.did_zone")


@post("/account/sign-out-everywhere", scope="any", recent="/account")
async def sign_out_everywhere(system: System, visitor: Visitor) -> Response[str]:
    mine = visitor.signed_in
    await sessions.end_all(system, mine.operator_id, but=mine.session_id)
    return go("/account", "account.did_sign_out")


@post("/account/sessions/{id:int}/end", scope="any", recent="/account")
async def end_session(system: System, visitor: Visitor, id: FromPath[int]) -> Response[str]:
    await operator_access.end_session(system, visitor.name, id)
    return go("/account", "account.did_end_session")


@get("/account/password", scope="any", recent=True)
async def password(request: AnyRequest) -> Response[str]:
    form = Form({"old": "", "password": "", "again": ""})
    return page(request, "account/password.html", form=form)


@post("/account/password", scope="any", recent=True)
async def change_password(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    fields = await given(request)
    audit_log.about(visitor.name)
    try:
        proof = await _check_new(system, visitor, fields)
        await operators.change(
            system,
            visitor.name,
            password=fields.get("password", ""),
            keep=visitor.signed_in.session_id,
            proof=proof,
        )
    except UmsError as error:
        others = await _flaws(system, visitor, fields)
        form = refused(request, {"old": "", "password": "", "again": ""}, error, others=others)
        return page(
            request,
            "account/password.html",
            status=error.status,
            headers=wait(error),
            form=form,
        )
    return go("/home", "account.did_password")


async def _check_new(system: System, visitor: Visitor, fields: dict[str, str]) -> Proof:
    proof = await signing_in.check_current(system, visitor.signed_in, fields.get("old", ""))
    for check in _checks_of_new(fields):
        check()
    return proof


def _checks_of_new(fields: dict[str, str]) -> list[Check]:
    return [lambda: check_again(fields), lambda: _check_other(fields)]


def _check_other(fields: dict[str, str]) -> None:
    if fields.get("password", "") == fields.get("old", ""):
        raise Invalid("password_same", field="password")


async def _flaws(system: System, visitor: Visitor, fields: dict[str, str]) -> list[UmsError]:
    """All that is wrong with the new password, also where the current one is."""
    own = passwords.check_new(system, fields.get("password", ""), visitor.name)
    return [*all_of(_checks_of_new(fields)), *await all_awaited([own])]


handlers = [
    login,
    log_in,
    log_out,
    account,
    change_zone,
    sign_out_everywhere,
    end_session,
    password,
    change_password,
]
