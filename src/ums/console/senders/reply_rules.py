"""Server replies that nobody understands yet, and the operators' rules for them."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, refused
from ums.console.rendering import AnyRequest, go, page
from ums.core.senders import reply_rules
from ums.errors import UmsError
from ums.mail.reply_classifier import REASONS

EMPTY = {"text": "", "code": "", "reason": ""}


@get("/replies", scope="senders:read", channels="all")
async def list_replies(request: AnyRequest, system: System) -> Response[str]:
    asked = {name: request.query_params.get(name, "") for name in EMPTY}
    return await _list(request, system, Form(asked))


async def _list(request: AnyRequest, system: Any, form: Form, status: int = 200) -> Response[str]:
    return page(
        request,
        "senders/replies.html",
        status=status,
        form=form,
        rules=await reply_rules.list_rules(system),
        unclear=await reply_rules.unclear(system),
        reasons=REASONS,
    )


@post("/replies", scope="senders:write", channels="all")
async def create_rule(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    fields = {**EMPTY, **await given(request)}
    text, code = fields["text"].strip(), fields["code"].strip().lower()
    try:
        actor = visitor.caller.name
        await reply_rules.create(system, text, fields["reason"], code, actor=actor)
    except UmsError as error:
        others = await reply_rules.errors_of(system, text, fields["reason"], code)
        form = refused(request, fields, error, others=others)
        return await _list(request, system, form, error.status)
    return go("/replies", "senders.did_rule")


@post("/replies/{rule_id:int}/delete", scope="senders:write", channels="all")
async def delete_rule(system: System, visitor: Visitor, rule_id: FromPath[int]) -> Response[str]:
    await reply_rules.remove(system, rule_id, actor=visitor.caller.name)
    return go("/replies", "senders.did_unrule")


handlers = [list_replies, create_rule, delete_rule]
