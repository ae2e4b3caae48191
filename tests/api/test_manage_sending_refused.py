"""POST /api/messages: what is refused."""

import base64
from typing import Any

import pytest
import pytest_asyncio

from support.doors import Door, OneChannel
from ums.core.templates import store
from ums.core.templates.compiler import Sources

PNG = base64.b64encode(b"not much of a picture").decode()
A, B = "a@example.org", "b@example.org"


def mail(**more: Any) -> dict[str, Any]:
    return {"recipients": [{"address": A}], "subject": "s", "text": "t", **more}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def who(shared: Door) -> OneChannel:
    return await shared.channel()


TOO_MUCH = {"recipients": [{"address": A, "variables": {"v": "x" * 60_000}}] * 10}


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({}, "nobody", "recipients"),
        (mail(recipients=[]), "nobody", "recipients"),
        (mail(recipients=[], audience={}), "nobody", "audience"),
        (mail(audience={"everyone": True}), "one_of", "audience"),
        (mail(recipients=[], audience={"everyone": True, "tags": ["x"]}), "everyone_alone",
         "audience"),
        (mail(recipients=[], audience={"tags": ["no blanks"]}), "bad_tag", "audience.tags[0]"),
        (mail(recipients=[], audience={"segment": 10**9}), "segment_unknown", None),
        (mail(recipients=[{}]), "one_of", "recipients[0]"),
        (mail(recipients=[{"address": A, "userid": "u"}]), "one_of", "recipients[0]"),
        (mail(recipients=[{"address": "a"}]), "bad_address", "recipients[0].address"),
        (mail(recipients=[{"userid": "a b"}]), "bad_userid", "recipients[0].userid"),
        (mail(recipients=[{"address": A}] * 10_001), "misfit", "recipients"),
        (mail(recipients=[{"address": A, "variables": {"x": 1}}]), "variables_alone",
         "recipients[0].variables"),
        (mail(variables={"x": 1}), "variables_alone", "variables"),
        ({**mail(), "subject": None}, "missing", "subject"),
        (mail(subject="a\nb"), "misfit", "subject"),
        (mail(text=" "), "misfit", "text"),
        ({"recipients": [{"address": A}], "subject": "s"}, "one_of", "html"),
        (mail(template=1), "one_of", "subject"),
        ({"recipients": [{"address": A}], "template": 10**9}, "template_unknown", None),
        (mail(cc=["x"]), "bad_address", "cc[0]"),
        (mail(reply_to=["x"]), "bad_address", "reply_to[0]"),
        (mail(cc=[B], recipients=[{"address": A}] * 2), "one_recipient", "cc"),
        (mail(recipients=[], audience={"everyone": True}, bcc=[B]), "one_recipient", "bcc"),
        (mail(recipients=[{"userid": "stranger"}], cc=[B]), "addressee_unreachable",
         "recipients[0]"),
        (mail(headers={"Subject": "x"}), "misfit", "headers"),
        (mail(headers={"X-A": "a\r\nBcc: x@example.org"}), "misfit", "headers"),
        (mail(attachments=[{}]), "one_of", "attachments[0]"),
        (mail(attachments=[{"content": PNG}]), "missing", "attachments[0].name"),
        (mail(attachments=[{"url": "ftp://x/y"}]), "bad_file_url", "attachments[0]"),
        (mail(attachments=[{"content": "%%%", "name": "x"}]), "misfit", "attachments[0].content"),
        (mail(attachments=[{"content": PNG, "name": "x", "cid": "l"}]), "misfit", "attachments"),
        (mail(html="x", attachments=[{"content": PNG, "name": "x", "cid": "<l>"}]), "misfit",
         "attachments[0].cid"),
        (mail(html="x", attachments=[{"content": PNG, "name": "x", "cid": "l"}] * 2), "misfit",
         "attachments"),
        (mail(sender="another"), "sender_not_authorised", "sender"),
        (mail(priority=4), "misfit", "priority"),
        (mail(on_unknown="perhaps"), "misfit", "on_unknown"),
        (mail(callback={"url": "https://example.org/x"}), "callback_unknown", None),
        (mail(callback={"params": {"x": "y" * 5000}}), "params_too_large", None),
        (mail(block_list=1, allow_list=1), "lists_conflict", None),
        (mail(strategy=10**9, recipients=[{"userid": "u"}]), "strategy_unknown", None),
        (mail(owner="x" * 300), "misfit", "owner"),
        (mail(colour="red"), "unknown_field", "colour"),
    ],
)  # fmt: skip
async def test_what_is_refused(
    shared: Door, who: OneChannel, body: dict[str, Any], reason: str, field: str | None
) -> None:
    answer = await shared.post("/api/messages", body, who)
    assert (answer.status, answer.body["reason"]) == (400, reason), answer.body
    if field is not None:
        assert answer.body["field"] == field


async def test_variables_are_bounded_together(shared: Door, who: OneChannel) -> None:
    channel = (await shared.system.directory.now()).channels[who.key]
    made = await store.create(shared.system, channel, "v", Sources("{{ v }}", text="t"), {})
    answer = await shared.post("/api/messages", {"template": made.id, **TOO_MUCH}, who)
    assert answer.told == (400, 4004, "para_large")


async def test_what_is_refused_is_not_stored(door: Door) -> None:
    who = await door.channel()
    for body in (mail(recipients=[{}]), mail(sender="another"), mail(priority=4)):
        await door.post("/api/messages", body, who)
    assert (await door.get("/api/messages", who)).body["items"] == []
