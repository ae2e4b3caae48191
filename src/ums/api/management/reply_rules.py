"""What servers' replies mean: the operators' own rules, and what no rule knows."""

from typing import Annotated

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from ums.api.management.dependencies import Caller, System
from ums.bounds import NAME, said
from ums.core.common.pagination import Page
from ums.core.senders import reply_rules
from ums.core.senders.reply_rules import ReplyRule, Unclear
from ums.mail.reply_classifier import REASONS


class NewReplyRule(Struct, frozen=True, forbid_unknown_fields=True):
    """A reply that holds the text means the reason, whatever our table says."""

    text: Annotated[
        str,
        Meta(description="In any case of letters.", min_length=3, max_length=200),
        said(pattern=NAME),
    ]
    reason: Annotated[
        str,
        Meta(description="One of the reasons of deliveries.", max_length=40),
        said(enum=sorted(REASONS)),
    ]
    code: Annotated[
        str,
        Meta(description="Such as 550 or 5xx; empty: any.", max_length=3),
        said(pattern=reply_rules.CODE),
    ] = ""


@get("/api/reply-rules", scope="senders:read", channels="all")
async def list_reply_rules(system: System) -> Page[ReplyRule]:
    """The operators' rules, in the order they are tried in: the newest first."""
    return Page(await reply_rules.list_rules(system), None)


@post("/api/reply-rules", scope="senders:write", channels="all")
async def create_reply_rule(
    system: System, caller: Caller, data: JSONBody[NewReplyRule]
) -> ReplyRule:
    """Say what a reply means from now on."""
    actor = caller.name
    return await reply_rules.create(system, data.text, data.reason, data.code, actor=actor)


@delete("/api/reply-rules/{rule_id:int}", scope="senders:write", channels="all")
async def delete_reply_rule(system: System, caller: Caller, rule_id: FromPath[int]) -> None:
    """Go by our table again."""
    await reply_rules.remove(system, rule_id, actor=caller.name)


@get("/api/unclear-replies", scope="senders:read", channels="all")
async def list_unclear_replies(system: System) -> Page[Unclear]:
    """What servers said in the last 100,000 attempts that no rule knows; the most frequent
    first."""
    return Page(await reply_rules.unclear(system), None)


handlers = [list_reply_rules, create_reply_rule, delete_reply_rule, list_unclear_replies]
