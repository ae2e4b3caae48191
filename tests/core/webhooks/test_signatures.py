"""What proves to a receiver that UMS calls: a signature, a password of its own, a MasterSecret."""

import base64
from typing import Any

import pytest
from sqlalchemy import update

from support.flow import with_settings
from support.receiver import Receiver, receiving
from support.telling import ALLOWED, audit_log, open_telling, rows, steps, until_state
from support.web import Resolver
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.maintenance.health_checks import unreadable
from ums.core.net import standard_webhooks
from ums.core.tables import callback_addresses
from ums.core.webhooks import client, endpoint_rows, endpoints
from ums.core.webhooks.endpoints import Changes
from ums.core.webhooks.signatures import Proof
from ums.engine.worker import running
from ums.errors import Forbidden, Invalid, UmsError

HOSTED = Proof("hosted")
OWN = Proof("signed", "ums", "päss:wörd")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def a_channel(system: AppContext, key: str = "1234") -> tuple[Channel, str]:
    with_settings(system, **ALLOWED)
    made = await channels.create(system, f"Channel {key}", key)
    return (await system.directory.now()).channels[key], str(made.mastersecret)


def sent(receiver: Receiver) -> list[str | None]:
    return [asked.headers.get("authorization") for asked in receiver.asked]


async def test_an_address_is_sent_no_credentials_unless_somebody_says_so(
    system: AppContext,
) -> None:
    channel, _ = await a_channel(system)
    async with receiving("", "") as receiver:
        made = await endpoints.add(system, channel, receiver.url)
        assert (made.form, made.username) == ("signed", "")
        assert (await endpoints.test(system, channel, made.id)).ok
        await endpoints.verify(system, channel, made.id)
        assert sent(receiver) == [None, None, None]
        receiver.verify(receiver.posts[0], str(made.secret))


async def test_a_user_and_password_of_its_own(system: AppContext) -> None:
    channel, _ = await a_channel(system)
    async with receiving(OWN.username, OWN.password) as receiver:
        made = await endpoints.add(system, channel, receiver.url, proof=OWN)
        assert (await endpoints.test(system, channel, made.id)).ok
        assert sent(receiver) == [basic("ums", "päss:wörd")] * 2
        receiver.verify(receiver.posts[0], str(made.secret))
    assert "wörd" not in repr(await rows(system, callback_addresses)) + repr(made)
    assert await unreadable(system) == ([], 3)  # the channel's, the signing one and the password


async def test_the_form_of_the_hosted_ums_is_for_who_may_see_the_secret(system: AppContext) -> None:
    channel, secret = await a_channel(system)
    async with receiving("1234", secret) as receiver:
        with pytest.raises(Forbidden) as refused:
            await endpoints.add(system, channel, receiver.url, proof=HOSTED)
        assert (refused.value.reason, receiver.asked) == ("callback_hosted", [])
        made = await endpoints.add(system, channel, receiver.url, proof=HOSTED, may_see_secret=True)
        elsewhere = Changes(url=receiver.url + "?2")
        with pytest.raises(Forbidden):
            await endpoints.change(system, channel, made.id, elsewhere)
        assert len(receiver.asked) == 1
        moved = await endpoints.change(system, channel, made.id, elsewhere, may_see_secret=True)
        assert (moved.url, moved.form) == (receiver.url + "?2", "hosted")
        assert (await endpoints.test(system, channel, made.id)).ok
        assert sent(receiver) == [basic("1234", secret)] * 3
        receiver.verify(receiver.posts[0], str(made.secret))


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/",
        "http://localhost/",
        "http://127.1/",
        "http://2130706433/",
        "http://93.184.216.34/",
        "http://169.254.169.254/",
        "http://[2606:2800:220:1::1]/",
        "http://[fe80::1]/",
    ],
)
async def test_the_master_secret_goes_nowhere_over_plain_http(
    system: AppContext, resolver: Resolver, url: str
) -> None:
    resolver["receiver.example"] = [["10.0.0.1"]]
    channel, _ = await a_channel(system)
    with_settings(system, callback_allow="0.0.0.0/0,::/0")
    with pytest.raises(Invalid) as refused:
        await endpoints.add(system, channel, url, proof=HOSTED, may_see_secret=True)
    assert refused.value.reason == "callback_hosted_insecure"


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("host", ["10.0.0.1", "[::1]", "[fc00::1]", "[::ffff:192.168.0.1]"])
async def test_a_private_address_still_needs_leave(system: AppContext, host: str) -> None:
    channel, _ = await a_channel(system)
    with pytest.raises(Invalid) as refused:
        await endpoints.add(system, channel, f"http://{host}/", proof=HOSTED, may_see_secret=True)
    assert refused.value.values["detail"] == "address not allowed"


async def test_a_stored_address_that_is_not_safe_is_sent_nothing(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last gate is where the secret is opened, whatever stands in the database."""
    async with open_telling(system) as telling:
        plain = telling.receiver.url.replace("127.0.0.1", "localhost")
        secret = system.seal.close(standard_webhooks.new_secret(), f"callback:1234:{plain}")
        async with system.database.write() as tx:
            await tx.run(update(callback_addresses).values(url=plain, secret=secret))
        asked = len(telling.receiver.asked)
        with pytest.raises(Invalid):
            await endpoints.test(system, await telling.channel(), telling.address.id)
        with pytest.raises(Invalid):
            await endpoints.verify(system, await telling.channel(), telling.address.id)
        async with running(system):
            await telling.flow.send("a@example.cn")
            [waiting] = await until_state(telling, "waiting")
        assert waiting.last_error.startswith("cannot be sent: ")
        assert len(telling.receiver.asked) == asked


async def test_credentials_never_follow_a_redirect(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(monkeypatch, "hosted")
    async with open_telling(system) as telling, receiving("", "") as elsewhere:
        moved = f"HTTP/1.1 307 X\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n"
        telling.receiver.always = moved.encode()
        assert (await endpoints.test(system, await telling.channel(), 1)).status == 307
        async with running(system):
            await telling.flow.send("a@example.cn")
            await until_state(telling, "dead")
        monkeypatch.setattr(Receiver, "_judge", lambda *_: (302, b""))
        with pytest.raises(Invalid):
            await endpoints.verify(system, await telling.channel(), telling.address.id)
    assert elsewhere.asked == []


async def test_a_form_holds_only_after_the_check_in_it(system: AppContext) -> None:
    channel, secret = await a_channel(system)
    async with receiving("", "") as receiver:
        made = await endpoints.add(system, channel, receiver.url)
        receiver.key, receiver.secret = "1234", "another"
        with pytest.raises(Invalid) as refused:
            await endpoints.change(
                system, channel, made.id, Changes(form="hosted"), may_see_secret=True
            )
        assert refused.value.reason == "callback_unverified"
        [left] = await endpoint_rows.list_addresses(system, channel)
        assert left.form == "signed"
        receiver.secret = secret
        changed = await endpoints.change(
            system, channel, made.id, Changes(form="hosted"), may_see_secret=True
        )
        assert (changed.form, changed.secret or None) == ("hosted", None)
    log = [entry for entry in await audit_log(system) if entry[1] == "callback.change"]
    assert [entry[3] for entry in log] == ["address 1 127.0.0.1, hosted"]


async def test_a_password_does_not_go_to_another_url_by_itself(system: AppContext) -> None:
    channel, _ = await a_channel(system)
    async with receiving(OWN.username, OWN.password) as receiver:
        made = await endpoints.add(system, channel, receiver.url, proof=OWN)
        elsewhere = receiver.url + "?2"
        with pytest.raises(Invalid) as refused:
            await endpoints.change(system, channel, made.id, Changes(url=elsewhere))
        assert (refused.value.reason, len(receiver.asked)) == ("callback_password", 1)
        again = Changes(url=elsewhere, password=OWN.password)
        assert (await endpoints.change(system, channel, made.id, again)).username == "ums"
        receiver.key = ""
        bare = Changes(url=receiver.url, username="")
        assert (await endpoints.change(system, channel, made.id, bare)).username == ""
        assert sent(receiver)[-1] is None


async def test_a_rotated_secret_moves_with_its_address(system: AppContext) -> None:
    channel, _ = await a_channel(system)
    async with receiving("", "") as receiver:
        old = await endpoints.add(system, channel, receiver.url)
        new = await endpoints.rotate(system, channel, old.id)
        await endpoints.change(system, channel, old.id, Changes(url=receiver.url + "?2"))
        assert (await endpoints.test(system, channel, old.id)).ok
        receiver.verify(receiver.posts[0], str(old.secret))
        receiver.verify(receiver.posts[0], str(new.secret))


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (Proof("open"), "callback_form"),
        (Proof("signed", "ums"), "callback_basic"),
        (Proof("signed", "", "x"), "callback_basic"),
        (Proof("signed", "a:b", "x"), "callback_basic"),
        (Proof("signed", "ums", "x\r\ny"), "bad_value"),
        (Proof("signed", "u" * 256, "x"), "bad_value"),
        (Proof("hosted", "ums", "x"), "callback_basic_hosted"),
    ],
)
async def test_what_proves_nothing(system: AppContext, proof: Proof, reason: str) -> None:
    channel, _ = await a_channel(system)
    with pytest.raises(UmsError) as refused:
        await endpoints.add(
            system, channel, "https://receiver.example/", proof=proof, may_see_secret=True
        )
    assert refused.value.reason == reason


async def test_two_changes_at_once_do_not_mix(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked is what is stored: an address that changed meanwhile is left alone."""
    channel, _ = await a_channel(system)
    async with receiving("", "") as receiver:
        made = await endpoints.add(system, channel, receiver.url)
        check: Any = client.check

        async def slowly(*given: Any) -> Any:
            monkeypatch.setattr(client, "check", check)
            await endpoints.rotate(system, channel, made.id)
            return await check(*given)

        monkeypatch.setattr(client, "check", slowly)
        with pytest.raises(UmsError) as refused:
            await endpoints.change(system, channel, made.id, Changes(url=receiver.url + "?2"))
        assert (refused.value.status, refused.value.reason) == (409, "callback_changed")
