"""POST /api/messages: what goes out, to whom and when."""

import base64
import email
import email.policy
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from support.doors import Answer, Door, OneChannel
from support.fakes import Mail
from ums.core.channels import access_lists, channels
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.context.directory import Channel
from ums.core.identity import operators
from ums.core.templates import store
from ums.core.templates.compiler import Sources
from ums.core.users import segments

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nnot much of a picture").decode()
A, B = "a@example.org", "b@example.org"


def mail(**more: Any) -> dict[str, Any]:
    return {"recipients": [{"address": A}], "subject": "s", "text": "t", **more}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def who(shared: Door) -> OneChannel:
    return await shared.channel()


@pytest_asyncio.fixture
async def outbox(shared: Door) -> AsyncIterator[list[Mail]]:
    """What reaches the server during the test."""
    shared.smtp.mails.clear()
    yield shared.smtp.mails
    shared.smtp.mails.clear()


async def of(door: Door, who: OneChannel) -> Channel:
    door.system.directory.forget()
    return (await door.system.directory.now()).channels[who.key]


async def template(door: Door, who: OneChannel, name: str, *sources: Any) -> int:
    made = await store.create(door.system, await of(door, who), name, Sources(*sources), {})
    return made.id


async def sent(door: Door, who: OneChannel, **body: Any) -> dict[str, Any]:
    """The message, once all its deliveries are final."""
    answer = await door.post("/api/messages", body, who)
    assert answer.status == 201, answer.raw
    assert answer.headers["location"] == f"/api/messages/{answer.body['msgid']}"
    return await door.done(answer.body["msgid"], who)


def parsed(mail: Mail) -> EmailMessage:
    return email.message_from_bytes(mail.data, policy=email.policy.default)


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert isinstance(found, EmailMessage)
    return found.get_content().strip()


async def users(door: Door, *entries: dict[str, Any]) -> None:
    answer = await door.post("/v1/user/opt", list(entries), await door.access_key())
    assert answer.body["data"]["fail"] == []


# -- to whom ----------------------------------------------------------------------------------


async def test_users_and_addresses_get_it(
    shared: Door, who: OneChannel, outbox: list[Mail]
) -> None:
    await users(shared, {"userid": "mixed1", "email": {"all": "mixed1@example.org"}})
    recipients = [{"address": A}, {"userid": "mixed1"}, {"userid": "stranger"}, {"address": A}]
    shown = await sent(shared, who, recipients=recipients, subject="s", html="<p>x</p>")
    assert (shown["audience"], shown["counts"]) == (4, {"sent": 2, "invalid": 2})
    assert sorted(one.rcpt_to for one in outbox) == [A, "mixed1@example.org"]
    deliveries = await shared.listed(f"/api/messages/{shown['msgid']}/deliveries", who)
    assert sorted(one["reason"] for one in deliveries) == ["", "", "duplicate", "no_user"]


async def test_an_audience_by_tag_by_segment_and_of_everyone(door: Door) -> None:
    who = await door.channel()
    await users(
        door,
        {"userid": "t1", "tag": {"all": ["gold"]}, "email": {"all": "t1@example.org"}},
        {"userid": "t2", "attributes": {"age": 40}, "email": {"all": "t2@example.org"}},
        {"userid": "t3", "email": {"all": "t3@example.org"}},
    )
    condition = {"attribute": {"name": "age", "op": "ge", "value": 40}}
    segment = await segments.create(door.system, "over 40", condition)
    told = {"subject": "s", "text": "t"}
    for audience, reached in (
        ({"tags": ["gold"]}, {"t1"}),
        ({"tags": ["gold"], "segment": segment.id}, {"t1", "t2"}),
        ({"everyone": True}, {"t1", "t2", "t3"}),
    ):
        door.smtp.mails.clear()
        shown = await sent(door, who, audience=audience, **told)
        assert {one.rcpt_to for one in door.smtp.mails} == {f"{n}@example.org" for n in reached}
        assert shown["on_unknown"] == ("hold" if "everyone" in audience else "resend")


async def test_lists_are_kept_to(shared: Door, who: OneChannel, outbox: list[Mail]) -> None:
    channel = await of(shared, who)
    block = await access_lists.create(shared.system, channel, "block", "no")
    await access_lists.add(
        shared.system, channel, "block", block.id, [access_lists.Entry("address", A)]
    )
    shown = await sent(
        shared, who, **mail(recipients=[{"address": A}, {"address": B}], block_list=block.id)
    )
    assert shown["counts"] == {"invalid": 1, "sent": 1}
    assert [one.rcpt_to for one in outbox] == [B]


# -- each with values of his own --------------------------------------------------------------


async def test_each_recipient_has_variables_of_its_own(
    shared: Door, who: OneChannel, outbox: list[Mail]
) -> None:
    id = await template(shared, who, "own", "{{ n }} {{ city }}", "<p>{{ n }}</p>", "{{ user.x }}")
    await users(
        shared,
        {"userid": "own1", "email": {"all": "own1@example.org"}, "attributes": {"x": "X1"}},
        {"userid": "own2", "email": {"all": "own2@example.org"},
         "attributes": {"x": "X2", "city": "Xi'an"}},
    )  # fmt: skip
    shown = await sent(
        shared,
        who,
        template=id,
        variables={"n": 0},
        recipients=[
            {"userid": "own1", "variables": {"n": 1, "city": "上海"}},
            {"userid": "own2", "variables": {"n": 2}},
            {"userid": "nobody of the name", "variables": {"n": 3}},
        ][:2],
    )
    assert shown["counts"] == {"sent": 2}
    said = {one.rcpt_to: parsed(one) for one in outbox}
    assert said["own1@example.org"]["subject"] == "1 上海"
    assert said["own2@example.org"]["subject"] == "2 Xi'an"
    assert part(said["own1@example.org"], "plain") == "X1"
    assert part(said["own2@example.org"], "html") == "<p>2</p>"


async def test_one_that_lacks_a_value_is_named(shared: Door, who: OneChannel) -> None:
    id = await template(shared, who, "lacks", "{{ n }}", None, "t")
    answer = await shared.post(
        "/api/messages",
        {"template": id, "recipients": [{"address": A, "variables": {"n": 1}}, {"address": B}]},
        who,
    )
    assert answer.told == (400, 4004, "variable_missing")
    assert B in answer.body["detail"]
    assert "n" in answer.body["detail"]


# -- what the mail holds ----------------------------------------------------------------------


async def test_a_mail_with_all_there_is(shared: Door, who: OneChannel, outbox: list[Mail]) -> None:
    text = base64.b64encode("你好".encode()).decode()
    shown = await sent(
        shared,
        who,
        recipients=[{"address": A}],
        cc=["Cc@Example.ORG", A],
        bcc=["bcc@example.org"],
        reply_to=["ask@example.org"],
        subject="全部",
        html='<p>看 <img src="cid:logo"></p>',
        text="看",
        headers={"X-Campaign": "春", "List-Unsubscribe": "<https://example.org/u>"},
        attachments=[
            {"content": PNG, "name": "logo.png", "cid": "logo"},
            {"content": text, "name": "说明.txt", "content_type": "text/plain; charset=utf-8"},
        ],
        priority=1,
    )
    assert (shown["counts"], shown["priority"]) == ({"sent": 3}, 1)
    assert {one.rcpt_to for one in outbox} == {A, "Cc@example.org", "bcc@example.org"}
    for one in map(parsed, outbox):
        assert (one["to"], one["cc"]) == (A, f"Cc@example.org, {A}")
        assert (one["bcc"], one["reply-to"]) == (None, "ask@example.org")
        assert (one["x-campaign"], one["list-unsubscribe"]) == ("春", "<https://example.org/u>")
        shown_file, attached = [
            found for found in one.walk() if found.get_content_disposition() is not None
        ]
        assert (shown_file["content-id"], shown_file.get_content_type()) == ("<logo>", "image/png")
        assert (attached.get_filename(), attached.get_content().strip()) == ("说明.txt", "你好")
    assert len({one["message-id"] for one in map(parsed, outbox)}) == 3


async def test_text_is_text_whatever_it_looks_like(
    shared: Door, who: OneChannel, outbox: list[Mail]
) -> None:
    await sent(shared, who, **mail(text="<p>not HTML</p>"))
    message = parsed(outbox[0])
    assert (message.get_content_type(), part(message, "plain")) == ("text/plain", "<p>not HTML</p>")


async def test_copies_of_a_template_say_what_the_addressee_reads(
    shared: Door, who: OneChannel, outbox: list[Mail]
) -> None:
    id = await template(
        shared, who, "copies", "{{ user.name }} {{ code }}", None, "{{ user.userid }}"
    )
    await users(
        shared,
        {"userid": "boss", "email": {"all": "boss@example.org"}, "attributes": {"name": "王"}},
    )
    shown = await sent(
        shared,
        who,
        template=id,
        recipients=[{"userid": "boss", "variables": {"code": 7}}],
        cc=["copy@example.org", "boss@example.org"],
    )
    assert shown["counts"] == {"sent": 2}
    assert {one.rcpt_to for one in outbox} == {"boss@example.org", "copy@example.org"}
    for one in map(parsed, outbox):
        assert (one["to"], one["subject"]) == ("boss@example.org", "王 7")
        assert part(one, "plain") == "boss"
    history = await shared.listed("/api/users/boss/deliveries", who)
    assert [one["msgid"] for one in history] == [shown["msgid"]]


async def test_a_material_is_attached_by_its_url(
    shared: Door, who: OneChannel, outbox: list[Mail]
) -> None:
    given = await shared.http.post(
        "/v1/material",
        auth=who.basic,
        data={"type": "attachment"},
        files={"file": ("报表.csv", b"1,2\n", "text/csv")},
    )
    url = given.json()["url"]
    await sent(shared, who, **mail(attachments=[{"url": url, "name": "renamed.csv"}]))
    names = [one.get_filename() for one in parsed(outbox[0]).iter_attachments()]
    assert names == ["renamed.csv"]


# -- when -------------------------------------------------------------------------------------


async def test_it_waits_for_its_time_and_dies_at_its_end(door: Door) -> None:
    who = await door.channel()
    start = datetime.now(UTC) + timedelta(hours=1)
    end = start + timedelta(minutes=5)
    # As a caller in China writes it.
    there = start.astimezone(ZoneInfo("Asia/Shanghai"))
    answer = await door.post(
        "/api/messages", mail(starts_at=there.isoformat(), deliver_by=end.isoformat()), who
    )
    path = f"/api/messages/{answer.body['msgid']}"
    shown = (await door.get(path, who)).body
    assert shown["state"] == "scheduled"
    assert datetime.fromisoformat(shown["starts_at"]) - start < timedelta(milliseconds=2)
    assert datetime.fromisoformat(shown["expires_at"]) - end < timedelta(milliseconds=2)
    later = {"starts_at": (end + timedelta(days=1)).isoformat()}
    assert (await door.post(f"{path}/reschedule", later, who)).body["reason"] == "bad_deliver_by"
    later["deliver_by"] = (end + timedelta(days=2)).isoformat()
    moved = (await door.post(f"{path}/reschedule", later, who)).body
    assert moved["state"] == "scheduled"
    assert datetime.fromisoformat(moved["starts_at"]) - end > timedelta(hours=23)
    over = {"starts_at": "2020-01-01T00:00:00Z"}
    assert (await door.post(f"{path}/reschedule", over, who)).body["reason"] == "starts_in_past"
    assert (await door.post(f"{path}/cancel", {}, who)).body["stopped"] == 1
    assert (await door.post(f"{path}/reschedule", later, who)).body["reason"] == "message_stopped"
    assert door.smtp.mails == []


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"starts_at": "2020-01-01T00:00:00"}, "misfit"),  # no offset
        ({"deliver_by": "2020-01-01T00:00:00Z"}, "bad_deliver_by"),
        ({"starts_at": "2999-01-01T00:00:00Z"}, "starts_too_late"),
        ({"starts_at": "2020-01-01T00:00:00Z"}, "starts_in_past"),
    ],
)
async def test_times_that_cannot_be(
    shared: Door, who: OneChannel, more: dict[str, Any], reason: str
) -> None:
    assert (await shared.post("/api/messages", mail(**more), who)).body["reason"] == reason


# -- by whom ----------------------------------------------------------------------------------


async def test_a_token_says_for_which_channel(shared: Door, who: OneChannel) -> None:
    bound = await shared.api_token("messages:send", channels=[who.key])
    free = await shared.api_token("messages:send")
    other = await shared.channel()
    assert (await shared.post("/api/messages", mail(), bound)).status == 201
    assert (await shared.post("/api/messages", mail(), free)).told == (400, 4004, "missing")
    stranger = await shared.post("/api/messages", mail(channel=other.key), bound)
    assert stranger.told == (404, 4004, "channel_unknown")
    given = await shared.post("/api/messages", mail(channel=other.key), free)
    mine = await shared.get(f"/api/messages/{given.body['msgid']}", who)
    assert (given.status, mine.status) == (201, 404)


async def test_a_key_sends_once(shared: Door, who: OneChannel) -> None:
    async def post(body: object) -> Answer:
        return await shared.post("/api/messages", body, who, Idempotency_Key="send-once")

    first, again = await post(mail(sendno="n1")), await post(mail(sendno="n1"))
    assert first.raw == again.raw
    assert first.body["sendno"] == "n1"
    assert (await post(mail(sendno="n2"))).told == (422, 4004, "idempotency_reused")


async def test_it_waits_for_approval_where_that_is_wanted(door: Door) -> None:
    who = await door.channel()
    await channels.set_rules(
        door.system, who.key, ChannelPolicy(approval=True, requests_per_second=0)
    )
    door.system.directory.forget()
    assert (await door.post("/api/messages", mail(), who)).told == (400, 1015023, "owner_missing")
    await operators.create(door.system, "li", "a rather long password")
    answer = await door.post("/api/messages", mail(owner="li"), who)
    shown = (await door.get(f"/api/messages/{answer.body['msgid']}", who)).body
    assert shown["state"] == "approval"
