"""Channels: names, keys, secrets and their overlap."""

import base64

import pytest
from sqlalchemy import select

from support.flow import account
from ums import clock
from ums.core import verbs
from ums.core.channels import channels
from ums.core.common.encryption import SecretBox
from ums.core.context.app_context import AppContext
from ums.core.identity import credentials
from ums.core.messages.intake import Intake
from ums.core.senders import senders
from ums.core.tables import audit
from ums.core.tables import channels as table
from ums.errors import Invalid, NotAuthenticated


async def refused(awaitable: object) -> str:
    with pytest.raises(Invalid) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value.reason


def basic(key: str, secret: object) -> str:
    return "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()


async def test_a_new_channel_has_keys_and_no_sender(system: AppContext) -> None:
    made = await channels.create(system, "订单 Orders")
    assert len(made.channelkey) == 24
    assert len(str(made.mastersecret)) == 24
    assert (made.name, made.open, made.senders, made.default_sender) == (
        "订单 Orders",
        True,
        [],
        None,
    )
    (listed,) = await channels.list_channels(system)
    assert listed.channelkey == made.channelkey
    assert not listed.mastersecret  # shown once
    async with system.database.read() as tx:
        stored = (await tx.first(select(table))).secret
        assert str(made.mastersecret) not in stored
        assert [row.action for row in await tx.rows(select(audit))] == ["channel.create"]


async def test_names_are_checked(system: AppContext) -> None:
    for name, reason in [
        ("", "missing"),
        ("x" * 31, "misfit"),
        (" x", "misfit"),
        ("a\nb", "control_characters"),
        ("a\x00b", "control_characters"),
    ]:
        assert await refused(channels.create(system, name)) == reason, name


async def test_chosen_keys_are_checked(system: AppContext) -> None:
    for key in ["", "a-b", "x" * 33, "键", "all", "1234\n"]:
        assert await refused(channels.create(system, "One", key)) == "key_shape", key


async def test_names_and_keys_are_taken_once(system: AppContext) -> None:
    await channels.create(system, "x" * 30, "1234")
    await senders.create(system, account(25))
    assert await refused(channels.create(system, "x" * 30, "5")) == "name_taken"
    assert await refused(channels.create(system, "Two", "1234")) == "key_taken"
    # A bind id must not mean both a channel and a sender.
    assert await refused(channels.create(system, "Two", "main")) == "key_taken"
    assert len(await channels.list_channels(system)) == 1


async def test_a_rotated_secret_overlaps_with_the_old_one_for_a_while(system: AppContext) -> None:
    first = await channels.create(system, "One", "1234")
    second = await channels.rotate(system, "1234")
    assert second.mastersecret != first.mastersecret
    for secret in (first.mastersecret, second.mastersecret):
        await credentials.authenticate(system, basic("1234", secret), "127.0.0.1")
    third = await channels.rotate(system, "1234", overlap=0)
    await credentials.authenticate(system, basic("1234", third.mastersecret), "127.0.0.1")
    for secret in (first.mastersecret, second.mastersecret):
        with pytest.raises(NotAuthenticated):
            await credentials.authenticate(system, basic("1234", secret), "127.0.0.1")
    channel = (await system.directory.now()).channels["1234"]
    assert (channel.old_secret_until or 0) <= clock.now()


async def test_channels_are_closed_and_opened(system: AppContext) -> None:
    await channels.create(system, "One", "1234")
    assert (await channels.set_open(system, "1234", open=False)).open is False
    assert (await system.directory.now()).channels["1234"].open is False
    assert (await channels.set_open(system, "1234", open=True)).open is True


async def test_an_unknown_channel_is_told(system: AppContext) -> None:
    assert await refused(channels.rotate(system, "none")) == "channel_unknown"
    assert await refused(channels.set_open(system, "none", open=False)) == "channel_unknown"


async def test_a_foreign_key_seals_nothing_new(system: AppContext) -> None:
    await verbs.call(system, Intake(system), "channel.create", {"name": "One"})
    system.seal = SecretBox(bytes(32))
    system.seal.follow(lambda: system.directory.sealing_key)
    for name, params in (("channel.create", {"name": "Two"}), ("accesskey.create", {})):
        with pytest.raises(Invalid) as caught:
            await verbs.call(system, Intake(system), name, params)
        assert caught.value.reason == "secret_unreadable"
    assert [channel.name for channel in await channels.list_channels(system)] == ["One"]
