"""Templates of a channel: made, changed, shown, looked at, tested, closed."""

import asyncio
from typing import Any

import pytest

from support.fakes import SmtpServer
from support.flow import Flow, open_flow
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.messages import template_preview
from ums.core.templates import store
from ums.core.templates.compiler import Sources
from ums.core.templates.store import Change
from ums.core.users import users
from ums.engine.worker import running
from ums.errors import Invalid, NotFound, Outdated, UmsError


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def make(flow: Flow, name: str = "One", **sources: Any) -> store.TemplateShown:
    defaults = sources.pop("defaults", None)
    given = Sources(**{"subject": "{{ name }}", "html": "<p>{{ city }}</p>", **sources})
    return await store.create(flow.system, await flow.channel(), name, given, defaults)


async def reason(work: Any) -> str:
    with pytest.raises(UmsError) as caught:
        await work
    return caught.value.reason


async def test_a_template_is_shown_as_it_was_given(flow: Flow) -> None:
    made = await make(flow, defaults={"city": "北京", "user.level": 1})
    assert made == await store.show(flow.system, await flow.channel(), made.id)
    assert (made.name, made.open, made.version, made.newest) == ("One", True, 1, 1)
    assert (made.subject, made.html, made.text, made.mjml) == (
        ("{{ name }}", "<p>{{ city }}</p>", None, None)
    )
    assert (made.variables, made.required) == (["city", "name"], ["name"])
    assert made.defaults == {"city": "北京", "user.level": 1}


async def test_a_change_is_a_new_version_and_the_old_stays(flow: Flow) -> None:
    system, channel = flow.system, await flow.channel()
    made = await make(flow)
    renamed = await store.change(system, channel, made.id, Change(name="Two"))
    assert (renamed.name, renamed.version) == ("Two", 1)
    same = await store.change(system, channel, made.id, Change(subject=made.subject))
    assert same.version == 1
    second = await store.change(system, channel, made.id, Change(text="t", defaults={"a": 1}))
    assert (second.version, second.html, second.text) == (2, made.html, "t")
    mjml = "<mjml><mj-body></mj-body></mjml>"
    third = await store.change(system, channel, made.id, Change(mjml=mjml, text=None))
    assert (third.version, third.html, third.mjml, third.text) == (3, None, mjml, None)
    old = await store.show(system, channel, made.id, 1)
    assert (old.version, old.newest, old.html) == (1, 3, made.html)
    with pytest.raises(Outdated):
        await store.change(system, channel, made.id, Change(text="x"), expect=only_version_2)
    broken = store.change(system, channel, made.id, Change(subject="{{"))
    assert await reason(broken) == "template_source"
    assert (await store.show(system, channel, made.id)).version == 3


def only_version_2(found: object) -> None:
    if not isinstance(found, store.TemplateShown) or found.version != 2:
        raise Outdated("outdated")


async def test_two_changes_at_once_are_not_mixed(flow: Flow) -> None:
    system, channel = flow.system, await flow.channel()
    made = await make(flow)
    work = [store.change(system, channel, made.id, Change(text=f"t{i}")) for i in range(3)]
    ended = await asyncio.gather(*work, return_exceptions=True)
    good = [one for one in ended if isinstance(one, store.TemplateShown)]
    bad = [one for one in ended if isinstance(one, Invalid)]
    assert len(good) + len(bad) == 3
    assert {one.reason for one in bad} <= {"template_changed"}
    assert [one.version for one in good] == [*range(2, 2 + len(good))]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "missing"),
    ({"name": "x" * 61}, "misfit"),
    ({"name": "a\nb"}, "control_characters"),
    ({"html": None}, "template_empty"),
    ({"mjml": "<mjml/>"}, "template_twice"),
    ({"html": "{{ a"}, "template_source"),
    ({"defaults": {"1a": 1}}, "bad_value"),
    ({"defaults": {"a": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}}, "bad_value"),
    ({"defaults": {"a": "x" * 70_000}}, "para_large"),
]


@pytest.mark.parametrize(("given", "why"), REFUSED)
async def test_what_is_refused(flow: Flow, given: dict[str, Any], why: str) -> None:
    assert await reason(make(flow, **given)) == why
    async with flow.system.database.read() as tx:
        assert (await store.list_templates(tx, await flow.channel())).items == []


async def test_names_are_unique_in_a_channel_and_nothing_crosses_it(flow: Flow) -> None:
    system = flow.system
    made = await make(flow)
    assert await reason(make(flow)) == "name_taken"
    await channels.create(system, "Other", "other")
    other = await Flow(system, "other").channel()
    theirs = await store.create(system, other, "One", Sources("s", text="t"))
    second = await make(flow, "Two")
    mine = await flow.channel()
    renaming = store.change(system, mine, second.id, Change(name="One"))
    assert await reason(renaming) == "name_taken"
    for work in (
        store.show(system, other, made.id),
        store.change(system, other, made.id, Change(text="x")),
        store.set_open(system, other, made.id, open=False),
        template_preview.preview(system, other, made.id),
        template_preview.send_test(system, flow.intake, other, made.id, "a@x.cn"),
        store.show(system, mine, made.id, 2),
        store.show(system, mine, made.id, 0),
        template_preview.preview(system, mine, made.id, version=2**40),
        store.show(system, mine, 999),
    ):
        with pytest.raises(NotFound):
            await work
    async with system.database.read() as tx:
        first = await store.list_templates(tx, mine, limit=1)
        rest = await store.list_templates(tx, mine, after=first.next)
        others = await store.list_templates(tx, other)
    assert [one.id for one in [*first.items, *rest.items]] == [made.id, second.id]
    assert [one.id for one in others.items] == [theirs.id]
    assert rest.next is None
    async with system.database.read() as tx:
        assert await reason(store.list_templates(tx, mine, after="x")) == "bad_filter"
        assert await reason(store.list_templates(tx, mine, limit=0)) == "bad_filter"


async def people(flow: Flow) -> None:
    entry = {
        "userid": "ann",
        "email": {"all": "all@x.test", flow.key: "own@x.test"},
        "attributes": {"name": "Ann", "city": "<Rome>"},
    }
    report = await users.opt(flow.system, await flow.channel(), [entry])
    assert not report.fail


async def test_a_preview_shows_what_a_user_would_get(flow: Flow) -> None:
    system, channel = flow.system, await flow.channel()
    await people(flow)
    made = await make(flow, text="{{ user.address }} {{ order.n }}")
    shown = await template_preview.preview(
        system, channel, made.id, userid="ann", para={"order": {"n": 7}}
    )
    assert (shown.subject, shown.html, shown.text) == (
        ("Ann", "<p>&lt;Rome&gt;</p>", "own@x.test 7")
    )
    assert (shown.missing, shown.problem, shown.version) == ([], "", 1)
    bare = await template_preview.preview(system, channel, made.id, para={"order": {"n": 1}})
    assert (bare.subject, bare.html, bare.missing) == (
        ("[name]", "<p>[city]</p>", ["city", "name"])
    )
    broken = await template_preview.preview(system, channel, made.id, para={"order": {}})
    assert broken.missing == ["city", "name", "order.n"]
    assert (broken.subject, broken.html, broken.text) == (None, None, None)
    assert "order.n" in broken.problem
    nobody = template_preview.preview(system, channel, made.id, userid="nobody")
    assert await reason(nobody) == "user_unknown"
    bad = template_preview.preview(system, channel, made.id, para={"a": 2**90})
    assert await reason(bad) == "bad_value"


async def test_a_test_mail_goes_the_way_of_every_message(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        await people(flow)
        made = await make(flow)
        channel = await flow.channel()
        await store.set_open(system, channel, made.id, open=False)  # a closed one can be tested
        async with running(system):
            sent = await template_preview.send_test(
                system, flow.intake, channel, made.id, "me@x.test", userid="ann"
            )
            assert await flow.until_settled(sent.msgid) == {"sent": 1}
    assert server.mails[0].rcpt_to == "me@x.test"
    assert b"Subject: Ann" in server.mails[0].data
    assert b"<p>&lt;Rome&gt;</p>" in server.mails[0].data


async def test_a_test_mail_that_cannot_be(flow: Flow) -> None:
    system, channel = flow.system, await flow.channel()
    made = await make(flow)

    async def told(to: str, **para: Any) -> str:
        work = template_preview.send_test(system, flow.intake, channel, made.id, to, para=para)
        return await reason(work)

    assert await told("nonsense", name="a", city="b") == "bad_address"
    assert await told("a@x.cn", name="a") == "variable_missing"
    assert await told("a@x.cn", name=[1], city="b") == "template_failed"
    assert await told("a@x.cn", name="a\nb", city="b") == "bad_subject"
