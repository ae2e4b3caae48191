"""Where a channel is told: verification, five at most, the default, what others may not see."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from support.flow import with_settings
from support.receiver import Receiver, receiving
from support.telling import ALLOWED, add_hosted, rows
from support.web import Resolver
from ums.core.channels import channels
from ums.core.channels.channels import ChannelInfo
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.net import standard_webhooks
from ums.core.tables import audit, callback_addresses
from ums.core.webhooks import endpoint_rows, endpoints
from ums.errors import Invalid, NotFound


async def a_channel(system: AppContext, key: str = "1234") -> tuple[Channel, ChannelInfo]:
    with_settings(system, **ALLOWED)
    made = await channels.create(system, f"Channel {key}", key)
    return (await system.directory.now()).channels[key], made


async def refusal(
    system: AppContext, channel: Channel, url: str, add: Callable[..., Any] = endpoints.add
) -> Invalid:
    with pytest.raises(Invalid) as refused:
        await add(system, channel, url)
    return refused.value


async def test_an_address_that_gives_the_word_back_is_kept(system: AppContext) -> None:
    channel, made = await a_channel(system)
    async with receiving("1234", str(made.mastersecret)) as receiver:
        found = await add_hosted(system, channel, receiver.url)
    [asked] = receiver.asked
    assert asked.method == "GET"
    assert re.fullmatch(r"/callback\?echostr=[0-9a-f]{32}", asked.target)
    assert (found.is_default, found.state, found.schedule) == (True, "verified", "hosted")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", str(found.secret))
    [told] = (await system.directory.now()).channels["1234"].callbacks
    assert (told.url, told.is_default) == (receiver.url, True)
    [listed] = await endpoint_rows.list_addresses(system, channel)
    assert not listed.secret  # shown once
    stored = await rows(system, callback_addresses)
    assert str(found.secret) not in str(stored)


async def test_a_query_of_the_address_is_kept(system: AppContext) -> None:
    channel, made = await a_channel(system)
    async with receiving("1234", str(made.mastersecret)) as receiver:
        await add_hosted(system, channel, receiver.url + "?a=%2F1&b")
    assert re.fullmatch(r"/callback\?a=%2F1&b&echostr=[0-9a-f]{32}", receiver.asked[0].target)


@pytest.mark.parametrize(("credentials", "status"), [(("other", "x"), 403), (("1234", "x"), 403)])
async def test_a_receiver_that_refuses_us(
    system: AppContext, credentials: tuple[str, str], status: int
) -> None:
    channel, _ = await a_channel(system)
    async with receiving(*credentials) as receiver:
        refused = await refusal(system, channel, receiver.url, add_hosted)
    assert refused.reason == "callback_unverified"
    assert refused.values["detail"] == f"answered {status}"
    assert await rows(system, callback_addresses) == []


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"%s\n", "answered something else than the echostr alone"),
        (b'"%s"', "answered something else than the echostr alone"),
        (b"", "answered something else than the echostr alone"),
        (b"x" * 200_000, "answered something else than the echostr alone"),
        (301, "answered 301"),
        (404, "answered 404"),
        (201, "answered 201"),
    ],
    ids=["newline", "quoted", "empty", "huge", "moved", "absent", "created"],
)
async def test_what_is_no_echo(
    system: AppContext, monkeypatch: pytest.MonkeyPatch, answer: bytes | int, detail: str
) -> None:
    def judge(_self: Receiver, _method: str, target: str, *_: object) -> tuple[int, bytes]:
        word = target.rpartition("=")[2].encode()
        if isinstance(answer, int):
            return answer, word
        return 200, answer.replace(b"%s", word)

    monkeypatch.setattr(Receiver, "_judge", judge)
    channel, made = await a_channel(system)
    async with receiving("1234", str(made.mastersecret)) as receiver:
        refused = await refusal(system, channel, receiver.url, add_hosted)
    assert (refused.code, refused.values["detail"]) == (4004, detail)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.com/",
        "example.com/callback",
        "http://user:secret@example.com/",
        "http://example.com/#part",
        "http:///nohost",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://exa mple.com/",
        "http://example.com/\r\nX: y",
        "http://example.com\\@127.0.0.1/",
        "http://[::1",
        "http://0177.0.0.2/",
        "http://example.com/" + "a" * 2048,
    ],
)
async def test_what_is_no_address(system: AppContext, url: str) -> None:
    channel, _ = await a_channel(system)
    assert (await refusal(system, channel, url)).reason == "callback_url"


HOSTS = [
    "127.0.0.2", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "168.63.129.16", "198.18.0.1", "224.0.0.1", "255.255.255.255",
    "2130706434", "0x7f000002", "127.2", "0x7f.2",
    "[::1]", "[::]", "[::ffff:127.0.0.2]", "[::ffff:7f00:2]", "[64:ff9b::7f00:2]",
    "[64:ff9b::a00:1]", "[2002:7f00:2::]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[fec0::1]",
    "inside.example", "mixed.example",
]  # fmt: skip


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_address_leads_inside(system: AppContext, resolver: Resolver, scheme: str) -> None:
    resolver["inside.example"] = [["10.1.2.3"]]
    resolver["mixed.example"] = [["127.0.0.1", "192.168.0.1"]]
    channel, _ = await a_channel(system)
    found: dict[str, object] = {}
    for host in HOSTS:
        refused = await refusal(system, channel, f"{scheme}://{host}/callback")
        found[host] = refused.values.get("detail")
    assert found == dict.fromkeys(HOSTS, "address not allowed")


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_port_of_its_own_needs_an_allowed_network(
    system: AppContext, resolver: Resolver
) -> None:
    resolver["public.example"] = [["93.184.216.34"]]
    channel, _ = await a_channel(system)
    refused = await refusal(system, channel, "http://public.example:8080/callback")
    assert refused.values["detail"] == "port not allowed"


async def test_five_at_most_and_each_once(system: AppContext) -> None:
    channel, made = await a_channel(system)
    async with receiving("1234", str(made.mastersecret)) as receiver:
        for n in range(5):
            await add_hosted(system, channel, f"{receiver.url}?n={n}", "standard")
        assert (await refusal(system, channel, f"{receiver.url}?n=0")).reason == "callback_taken"
        asked = len(receiver.asked)
        assert (await refusal(system, channel, receiver.url)).reason == "callback_limit"
        assert len(receiver.asked) == asked  # nobody is asked in vain
    listed = await endpoint_rows.list_addresses(system, channel)
    assert [one.is_default for one in listed] == [True, False, False, False, False]


async def test_the_default_can_move_but_not_be_deleted(system: AppContext) -> None:
    channel, made = await a_channel(system)
    async with receiving("1234", str(made.mastersecret)) as receiver:
        one = await add_hosted(system, channel, receiver.url)
        with pytest.raises(Invalid) as refused:
            await endpoints.delete(system, channel, one.id)
        assert refused.value.reason == "callback_default"
        two = await add_hosted(system, channel, receiver.url + "?2")
        assert (await endpoints.set_default(system, channel, two.id)).is_default
        await endpoints.delete(system, channel, one.id)
        assert [row.id for row in await endpoint_rows.list_addresses(system, channel)] == [two.id]
        again = await add_hosted(system, channel, receiver.url)
    assert again.id not in (one.id, two.id)
    assert not again.is_default
    async with system.database.read() as tx:
        log = [(row.action, row.subject) for row in await tx.rows(select(audit))]
    assert ("callback.delete", "1234") in log


async def test_a_schedule_that_does_not_exist(system: AppContext) -> None:
    channel, _ = await a_channel(system)
    with pytest.raises(Invalid) as refused:
        await endpoints.add(system, channel, "https://example.com/", "hourly")
    assert refused.value.reason == "callback_schedule"


async def test_another_channel_s_addresses_are_not_there(system: AppContext) -> None:
    channel, made = await a_channel(system)
    other, _ = await a_channel(system, "other")
    async with receiving("1234", str(made.mastersecret)) as receiver:
        await add_hosted(system, channel, receiver.url)
        mine = await add_hosted(system, channel, receiver.url + "?2")
        asked = len(receiver.asked)
        for action in (
            endpoints.verify,
            endpoints.test,
            endpoints.rotate,
            endpoints.set_default,
            endpoints.delete,
        ):
            with pytest.raises(NotFound):
                await action(system, other, mine.id)
        with pytest.raises(NotFound):
            await endpoint_rows.find(system, other, mine.url)
        assert len(receiver.asked) == asked
    assert await endpoint_rows.list_addresses(system, other) == []
    assert await endpoint_rows.find(system, channel, mine.url) == mine.id
    assert await endpoint_rows.find(system, channel, str(mine.id)) == mine.id


async def test_a_sample_record(system: AppContext) -> None:
    channel, made = await a_channel(system)
    async with receiving("1234", str(made.mastersecret)) as receiver:
        address = await add_hosted(system, channel, receiver.url)
        report = await endpoints.test(system, channel, address.id)
        assert (report.ok, report.status, report.detail) == (True, 200, "")
        [asked] = receiver.taken
        receiver.verify(asked, str(address.secret))
        [record] = asked.records
        assert (record["channelkey"], record["type"]) == ("1234", 2)
        receiver.script = [500]
        report = await endpoints.test(system, channel, address.id)
        assert (report.ok, report.status, report.detail) == (False, 500, "answered 500")


async def test_a_rotated_secret_signs_beside_the_old_one(system: AppContext) -> None:
    channel, made = await a_channel(system)
    async with receiving("1234", str(made.mastersecret)) as receiver:
        old = await add_hosted(system, channel, receiver.url)
        new = await endpoints.rotate(system, channel, old.id)
        await endpoints.test(system, channel, old.id)
        assert len(receiver.taken[0].headers["webhook-signature"].split()) == 2
        receiver.verify(receiver.taken[0], str(old.secret))
        receiver.verify(receiver.taken[0], str(new.secret))
        newest = await endpoints.rotate(system, channel, old.id, overlap=0)
        await endpoints.test(system, channel, old.id)
        receiver.verify(receiver.taken[1], str(newest.secret))
        with pytest.raises(Exception, match="No matching signature"):
            receiver.verify(receiver.taken[1], str(new.secret))


async def test_the_current_master_secret_is_used_in_an_overlap(system: AppContext) -> None:
    channel, made = await a_channel(system)
    async with receiving("1234", str(made.mastersecret)) as receiver:
        address = await add_hosted(system, channel, receiver.url)
        rotated = await channels.rotate(system, "1234")
        receiver.secret = str(rotated.mastersecret)
        now = (await system.directory.now()).channels["1234"]
        assert (await endpoints.test(system, now, address.id)).ok


def test_vectors_of_standard_webhooks() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    made = standard_webhooks.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
