"""The second factor: set up, asked for when logging in, removed."""

from io import BytesIO
from typing import Any
from urllib.parse import quote

import segno
from litestar import Response, get, post

from ums import clock
from ums.console.current_operator import client_of, cookies_of, inside
from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, refused, wait
from ums.console.one_time_secret import reveal
from ums.console.rendering import AnyRequest, go, page
from ums.core.identity import login, two_factor
from ums.core.identity.login import Operator
from ums.core.identity.proofs import Proof
from ums.core.identity.two_factor import Setup
from ums.errors import Invalid, NotAuthenticated, UmsError

GOOD_FOR = 5 * clock.MINUTE  # from the password to the code


def ask(request: AnyRequest, system: Any, operator: Operator, where: str) -> Response[str]:
    """The page that asks for the code; the password was right."""
    until = clock.now() + GOOD_FOR
    text = f"{operator.id} {until} {operator.proof.password} {operator.name}"
    ticket = system.seal.close(text, "second factor")
    form = Form({"code": "", "ticket": ticket, "next": where})
    return page(request, "account/second.html", form=form)


@post("/login/second", scope="open", body="open", status_code=200)
async def second(request: AnyRequest, system: System) -> Response[str]:
    fields = await given(request)
    values = {"code": "", "ticket": fields.get("ticket", ""), "next": fields.get("next", "")}
    client = client_of(request)
    try:
        operator = _opened(system, values["ticket"])
        operator = await login.check_code(system, operator, fields.get("code", ""), client)
        done = await login.sign_in(system, operator, client)
    except UmsError as error:
        error.values.setdefault("field", "code")
        form, status = refused(request, values, error), error.status
        return page(request, "account/second.html", status=status, headers=wait(error), form=form)
    return go(inside(values["next"]), cookies=cookies_of(request, done))


def _opened(system: Any, ticket: str) -> Operator:
    """Whose password was right a moment ago. Raises NotAuthenticated."""
    try:
        id, until, password, name = system.seal.open(ticket, "second factor").split(" ", 3)
    except (Invalid, ValueError):
        raise NotAuthenticated("wrong_code") from None
    if int(until) < clock.now():
        raise NotAuthenticated("code_late")
    return Operator(name, two_factor=True, proof=Proof(int(id), password))


@get("/account/two-factor", scope="any", recent=True)
async def set_up(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    mine = visitor.signed_in
    setup = two_factor.begin(system, mine.operator_id, mine.name)
    return _set_up(request, setup, Form({"code": ""}))


def _set_up(request: AnyRequest, setup: Setup, form: Form, status: int = 200) -> Response[str]:
    image = BytesIO()
    segno.make(setup.uri, error="m").save(
        image, kind="svg", scale=5, border=3, light="#fff", xmldecl=False
    )
    # As an image, which the page's policy allows and which can do nothing.
    picture = "data:image/svg+xml;utf8," + quote(image.getvalue().decode(), safe="")
    return page(
        request, "account/two_factor.html", status=status, setup=setup, picture=picture, form=form
    )


@post("/account/two-factor", scope="any", recent=True)
async def confirm(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """The page after it is the only one that shows the recovery codes."""
    mine, fields = visitor.signed_in, await given(request)
    ticket, code = fields.get("ticket", ""), fields.get("code", "").replace(" ", "")
    try:
        codes = await two_factor.confirm(system, mine, ticket, code)
    except Invalid as error:
        setup = _again(system, mine, ticket)
        return _set_up(request, setup, refused(request, {"code": ""}, error), error.status)
    return await reveal(system, visitor, "recovery", codes=codes)


def _again(system: Any, mine: Any, ticket: str) -> Setup:
    try:
        return two_factor.resume(system, mine.operator_id, mine.name, ticket)
    except Invalid:
        return two_factor.begin(system, mine.operator_id, mine.name)


@post("/account/two-factor/remove", scope="any", recent="/account")
async def remove(system: System, visitor: Visitor) -> Response[str]:
    await two_factor.remove(system, visitor.signed_in)
    return go("/account", "account.did_remove")


@post("/account/two-factor/codes", scope="any", recent="/account")
async def renew_codes(system: System, visitor: Visitor) -> Response[str]:
    """The page after it is the only one that shows them."""
    codes = await two_factor.renew_codes(system, visitor.signed_in)
    return await reveal(system, visitor, "recovery", codes=codes)


handlers = [second, set_up, confirm, remove, renew_codes]
