"""Template messages from their acceptance to what each recipient reads."""

import email
import json
from email import policy
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from core.templates.language import version
from support.fakes import SmtpServer
from support.flow import Flow, open_flow
from ums.core.context.app_context import AppContext
from ums.core.deliveries.expansion import expand
from ums.core.messages.template_requests import parse
from ums.core.reporting import reports
from ums.core.tables import deliveries
from ums.core.templates import store
from ums.core.templates.cache import Person, Version
from ums.core.templates.compiler import Sources
from ums.core.templates.store import Change
from ums.core.transports.protocol import MessageFacts, Recipient
from ums.core.transports.smtp import SmtpTransport
from ums.core.users import users
from ums.engine.delivery.template_parts import PrecompiledTemplate
from ums.engine.worker import running
from ums.mail.custom_headers import NO_EXTRAS
from ums.mail.email_account import EmailSettings
from ums.mail.mime.builder import BadContent
from ums.mail.outcomes import Encryption


def parsed(data: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(data, policy=policy.default)


def said(mail: email.message.EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return part.get_content().replace("\r\n", "\n")


async def template(flow: Flow, *sources: str | None, **defaults: Any) -> int:
    subject, html, text = sources
    assert subject is not None
    made = Sources(subject, html, text)
    return (await store.create(flow.system, await flow.channel(), "T", made, defaults)).id


async def accept(flow: Flow, id: int, *, broadcast: bool = False, **body: Any) -> str:
    raw = json.dumps({"template_id": id, **body}).encode()
    channel = await flow.channel()
    return (await flow.intake.accept(channel, parse(raw, broadcast=broadcast), raw)).msgid


async def people(flow: Flow) -> None:
    entries: list[dict[str, Any]] = [
        {"userid": "ann", "email": {"all": "ann@x.test"}, "attributes": {"name": "Ann <A>"}},
        {
            "userid": "bob",
            "email": {"all": "bob@x.test"},
            "attributes": {"name": "鲍勃", "vip": True},
        },
        {"userid": "cyd", "email": {"all": "cyd@x.test"}, "attributes": {}},
    ]
    report = await users.opt(flow.system, await flow.channel(), entries)
    assert not report.fail


async def test_each_recipient_reads_a_mail_of_its_own(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        await people(flow)
        html = (
            "<p>.Dear {{ name }}{% if vip|default(false) %} (VIP){% endif %},</p>"
            "<p>{{ user.userid }} {{ user.address }}</p>"
        )
        id = await template(flow, "{{ shop }}: {{ name }}", html, None, name="friend")
        async with running(system):
            msgid = await accept(flow, id, broadcast=True, template_para={"shop": "店"})
            assert await flow.until_settled(msgid) == {"sent": 3}
    mails = {mail.rcpt_to: parsed(mail.data) for mail in server.mails}
    assert mails["ann@x.test"]["Subject"] == "店: Ann <A>"
    assert said(mails["ann@x.test"], "html") == (
        "<p>.Dear Ann &lt;A&gt;,</p><p>ann ann@x.test</p>\n"
    )
    assert said(mails["ann@x.test"], "plain") == ".Dear Ann <A>,\n\nann ann@x.test\n"
    assert ".Dear 鲍勃 (VIP)," in said(mails["bob@x.test"], "html")
    assert mails["cyd@x.test"]["Subject"] == "店: friend"
    assert {mail["Auto-Submitted"] for mail in mails.values()} == {None}
    assert server.violations == []


async def test_one_text_for_all_where_nothing_is_personal(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        id = await template(flow, "Order {{ n }}", None, "<b>{{ n }}</b> stays as it is")
        async with running(system):
            msgid = await accept(
                flow,
                id,
                template_para={"n": 7, "more": 1},
                aud_email=[{"data": ["a@x.cn", "b@x.cn"]}],
            )
            assert await flow.until_settled(msgid) == {"sent": 2}
            async with system.database.read() as tx:
                assert (await reports.message(tx, msgid)).subject == "Order {{ n }}"
    for mail in server.mails:
        found = parsed(mail.data)
        assert (found["Subject"], found.get_content_type()) == ("Order 7", "text/plain")
        assert found.get_content() == "<b>7</b> stays as it is\r\n"
        assert found["Auto-Submitted"] == "auto-generated"


async def test_a_recipient_who_lacks_a_variable_fails_alone(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        await people(flow)
        id = await template(flow, "{{ user.name }}", None, "t")
        async with running(system):
            msgid = await accept(flow, id, broadcast=True)
            assert await flow.until_settled(msgid) == {"sent": 2, "failed": 1}
    rows = {row.userid: (row.state, row.reason) for row in await flow.deliveries(msgid)}
    assert rows["cyd"] == ("failed", "variable_missing")
    assert await flow.attempts(msgid)  # of the other two


@pytest.mark.parametrize(
    ("subject", "text", "reason"),
    [
        ("s", "{{ name|number }}", "template_failed"),
        ("s", "{% for a in l %}{% for b in l %}{% for c in l %}{{ name }}{% endfor %}{% endfor %}"
              "{% endfor %}", "template_limit"),
        ("{{ name }}", "t", "content_unusable"),
    ],
)  # fmt: skip
async def test_values_that_do_not_fit_fail_alone(
    system: AppContext, subject: str, text: str, reason: str
) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        await people(flow)
        attributes = {"name": "a\nb", "l": [*range(100)]}
        entry = {"userid": "ann", "attributes": attributes}
        others = [{"userid": id, "attributes": {"name": 1, "l": []}} for id in ("bob", "cyd")]
        report = await users.opt(system, await flow.channel(), [entry, *others])
        assert not report.fail
        id = await template(flow, subject, None, text)
        async with running(system):
            msgid = await accept(flow, id, broadcast=True)
            assert await flow.until_settled(msgid) == {"sent": 2, "failed": 1}
    rows = {row.userid: row.reason for row in await flow.deliveries(msgid)}
    assert rows == {"ann": reason, "bob": "", "cyd": ""}


async def test_what_waits_keeps_the_version_it_was_accepted_with(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        await people(flow)
        channel = await flow.channel()
        id = await template(flow, "old {{ name|default('') }}", None, "old")
        old = await accept(flow, id, aud_userid=["ann"])
        changed = await store.change(system, channel, id, Change(subject="new", text="new"))
        assert changed.version == 2
        new = await accept(flow, id, aud_userid=["ann"])
        await store.set_open(system, channel, id, open=False)
        async with running(system):
            assert await flow.until_settled(old) == {"sent": 1}
            assert await flow.until_settled(new) == {"sent": 1}
    assert sorted(parsed(mail.data)["Subject"] for mail in server.mails) == ["new", "old Ann <A>"]


async def test_a_delivery_s_own_variables_go_first(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        id = await template(flow, "{{ n }}", None, "{{ n }}")
        msgid = await accept(
            flow, id, template_para={"n": "all"}, aud_email=[{"data": ["a@x.cn", "b@x.cn"]}]
        )
        assert await expand(system.database)
        own = update(deliveries).where(deliveries.c.address == "a@x.cn")
        async with system.database.write() as tx:
            await tx.run(own.values(variables='{"n": "own"}'))
        async with running(system):
            assert await flow.until_settled(msgid) == {"sent": 2}
    mails = {mail.rcpt_to: parsed(mail.data)["Subject"] for mail in server.mails}
    assert mails == {"a@x.cn": "own", "b@x.cn": "all"}


async def test_a_template_with_everything_fits_a_retry(system: AppContext) -> None:
    async with SmtpServer() as server:
        server.script["DOT"] = [b"451 4.3.0 later\r\n"]
        flow = await open_flow(system, server)
        await people(flow)
        id = await template(flow, "{{ name }}", "<p>{{ name }}</p>", "{{ name }}")
        async with running(system):
            msgid = await accept(flow, id, aud_userid=["bob"])
            assert await flow.until_settled(msgid) == {"sent": 1}
    assert parsed(server.mails[0].data)["Subject"] == "鲍勃"


# -- a mail made of encoded pieces is the mail that was meant ----------------------------------

CHUNKS = ["{{ a }}", "{{ b }}", "{% if a == b %}{{ a }}.\n{% endif %}", "{% for x in l %}.{{ x }}\n"
          "{% endfor %}", ".", "\n.", " \n", "=", "你好，", "长" * 40, "x" * 90, "\r\n", "<p>",
          "Dear ", "\t"]  # fmt: skip
sources = st.lists(st.sampled_from(CHUNKS) | st.text("ab.= \n用", max_size=8), max_size=10).map(
    "".join
)
values = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40)
values |= st.sampled_from(["", ".", "..", "\r\n.\r\n", "=", "用户" * 30, "y" * 200, " ", "<b>&"])


ACCOUNT = msgspec.json.encode(
    EmailSettings("mail.b.cn", 465, Encryption.SSL, "a@b.cn", "a@b.cn")
).decode()


def mail_of(made: Version, person: Person, para: dict[str, Any]) -> email.message.Message:
    transport = SmtpTransport()
    letter = PrecompiledTemplate(made, transport)
    template = letter.skeleton(
        "key", NO_EXTRAS, lambda content: transport.build(ACCOUNT, content, automatic=False)
    )
    late = letter.fill(person, para, None)
    raw = template.render(Recipient("to@x.test", "m"), MessageFacts(0), late).body
    assert raw.isascii()
    assert b"\n.\n" not in raw.replace(b"\r", b"")
    lines = raw.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    body = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
    return email.message_from_bytes(body)


def content_of(part: email.message.Message) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode().replace("\r\n", "\n")


def ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


@given(sources, sources, values, values, st.booleans())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_fused_mail_says_what_plain_rendering_says(
    html: str, text: str, a: str, b: str, alone: bool
) -> None:
    made = version("s {{ a }}", html, None if alone else text)
    person = Person("to@x.test", "u", {"b": b})
    para = {"a": a, "l": [a, "z", b]}
    ready = made.values(person, para)
    try:
        mail = mail_of(made, person, para)
    except BadContent:
        assert any(not char.isprintable() for char in a) or "=?" in a or len(a.encode()) > 990
        return
    subject = email.header.make_header(email.header.decode_header(mail["Subject"]))
    assert str(subject).replace("\r\n", "") == f"s {a}"
    assert mail.keys() == ["Message-ID", "Date", "From", "To", "Subject", "MIME-Version",
                           "Content-Type"]  # fmt: skip
    first, second = mail.get_payload()
    assert made.text is not None
    assert made.html is not None
    assert content_of(first) == ended(made.text.text(ready))
    assert content_of(second) == ended(made.html.text(ready))
