"""Rotation of the sealing key: online, resumable, and no secret is left behind."""

import base64
import os
import re
from collections.abc import Iterator

import pytest
from msgspec import structs
from sqlalchemy import Table, Text, insert, select, update

from support.flow import open_flow
from support.imap import mailbox_at
from ums import clock
from ums.config import Settings
from ums.core.channels import channels
from ums.core.common import idempotency
from ums.core.common.encryption import KEY_FILE, RETIRED_FILE, sealed_with
from ums.core.common.idempotency import RequestKey, StoredResponse
from ums.core.context.app_context import AppContext
from ums.core.identity import one_time_secrets, two_factor
from ums.core.identity.credentials import authenticate, create_access_key
from ums.core.maintenance import health_checks, key_rotation
from ums.core.maintenance.key_rotation import SEALED
from ums.core.maintenance.startup import open_system
from ums.core.net import standard_webhooks
from ums.core.senders import mailboxes, webhook_senders
from ums.core.senders.senders import secret_of
from ums.core.senders.webhook_senders import NewWebhookSender
from ums.core.tables import audit, callback_addresses, metadata, operators
from ums.core.transports import webhook_settings
from ums.core.webhooks import endpoints
from ums.core.webhooks.signatures import password_context
from ums.errors import Invalid

SEALED_TEXT = re.compile(r"v2:([0-9a-f]{12}):")
TOTP = b"12345678901234567890"
URL = "https://receiver.example/callback"


async def fill(system: AppContext) -> None:
    """At least one row in every column that holds sealed texts."""
    flow = await open_flow(system, 25)
    await mailboxes.set_mailbox(system, "main", mailbox_at(1143))
    hook = NewWebhookSender(code="hook", name="Hook", url="https://hook.example/", password="word")
    await webhook_senders.create(system, hook)
    await create_access_key(system)
    await channels.rotate(system, flow.key, clock.HOUR)
    channel = await flow.channel()
    secret = system.seal.close(standard_webhooks.new_secret(), endpoints.context(channel, URL))
    now = clock.now()
    rows: list[tuple[Table, dict[str, object]]] = [
        (
            callback_addresses,
            {
                "channel_id": channel.id,
                "url": URL,
                "is_default": True,
                "schedule": "hosted",
                "secret": secret,
                "old_secret": secret,
                "username": "ums",
                "password": system.seal.close("word", password_context(flow.key, URL)),
                "state": "verified",
                "state_changed_at": now,
                "created_at": now,
            },
        ),
        (
            operators,
            {
                "name": "second",
                "password_hash": "none",
                "role": "viewer",
                "created_at": now,
            },
        ),
    ]
    async with system.database.write() as tx:
        for table, row in rows:
            await tx.run(insert(table), row)
        id = await tx.value(select(operators.c.id).where(operators.c.name == "second"))
        totp = system.seal.close(TOTP.hex(), two_factor.secret_context(id))
        await tx.run(update(operators).where(operators.c.id == id).values(totp=totp))
    await one_time_secrets.keep(system, id, "token", name="a", secret="a secret")
    place = RequestKey("token:1", "again")
    assert await idempotency.claim(system.database, system.seal, place) is None
    await idempotency.keep(
        system.database, system.seal, place, "f" * 64, StoredResponse(200, [], "{}")
    )


async def sealed_columns(system: AppContext) -> dict[tuple[str, str], set[str]]:
    """(table, column) -> the fingerprints of the keys whose texts it holds, found by looking into
    every column of text there is."""
    found: dict[tuple[str, str], set[str]] = {}
    async with system.database.read() as tx:
        for table in metadata.tables.values():
            for column in table.columns:
                if isinstance(column.type, Text):
                    texts = [str(row[0]) for row in await tx.rows(select(column))]
                    keys = {match[1] for text in texts if (match := SEALED_TEXT.match(text))}
                    if keys:
                        found[table.name, column.name] = keys
    return found


def keys_in(system: AppContext, name: str = KEY_FILE) -> list[str]:
    path = system.settings.data_dir / name
    assert path.stat().st_mode & 0o777 == 0o600
    return path.read_text().split()


async def check_everything_opens(system: AppContext) -> None:
    system.directory.forget()
    now = await system.directory.now()
    for sender in now.senders.values():
        opened = secret_of(system, sender)
        assert opened == "" or webhook_settings.read_secrets(opened).password == "word"
    async with system.database.read() as tx:
        for place in SEALED:
            for row in await tx.rows(place.query):
                text = getattr(row, place.name)
                assert text is None or system.seal.open(text, place.context(row)) is not None


async def test_every_sealed_column_is_known(system: AppContext) -> None:
    await fill(system)
    found = set(await sealed_columns(system))
    assert found == {(place.table.name, place.name) for place in SEALED}


async def rotated(system: AppContext) -> key_rotation.KeyStatus:
    """By the steps that this database asks for."""
    if not system.settings.is_sqlite:
        await key_rotation.add(system)
    status = await key_rotation.rotate(system)
    return status if system.settings.is_sqlite else await key_rotation.retire(system)


async def test_all_is_sealed_with_the_new_key(system: AppContext) -> None:
    await fill(system)
    before, derived = system.seal.fingerprint, system.seal.derive("message-id")
    old_file = keys_in(system)
    status = await rotated(system)
    assert status.retired == [before]
    assert status.sealing != before
    assert status.known == [status.sealing]
    assert status.unreadable == 0
    assert all(keys == {status.sealing} for keys in (await sealed_columns(system)).values())
    await check_everything_opens(system)
    assert keys_in(system) != old_file
    assert keys_in(system, RETIRED_FILE) == old_file
    assert system.seal.derive("message-id") == derived
    async with system.database.read() as tx:
        actions = [row.action for row in await tx.rows(select(audit))]
    assert {"key.add", "key.rotate", "key.retire"} <= set(actions)


async def test_a_restart_after_a_rotation_derives_the_same_keys(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_rotation, "CHECK_EVERY", 0.0)
    async with open_system(settings) as system:
        await fill(system)
        derived = system.seal.derive("message-id")
        status = await rotated(system)
    async with open_system(settings) as system:
        assert system.seal.fingerprint == status.sealing
        assert system.seal.derive("message-id") == derived
        await check_everything_opens(system)
        again = await rotated(system)
        assert again.retired == [status.sealing]
        assert system.seal.derive("message-id") == derived
    async with open_system(settings) as system:
        assert system.seal.derive("message-id") == derived


async def test_another_process_follows(settings: Settings) -> None:
    if settings.is_sqlite:
        pytest.skip("SQLite has one process")
    async with open_system(settings) as system, open_system(settings) as other:
        await fill(system)
        await other.directory.now()
        await rotated(system)
        await check_everything_opens(other)
        made = await create_access_key(other)
        header = base64.b64encode(f"{made.accesskey}:{made.mastersecret}".encode()).decode()
        system.directory.forget()  # else what it read a moment ago is good for a second
        assert await authenticate(system, f"Basic {header}", "127.0.0.1")
        assert other.seal.fingerprint == system.seal.fingerprint


class Killed(BaseException):
    """The process ended here."""


async def rotate_and_retire(system: AppContext) -> None:
    await key_rotation.rotate(system)
    await key_rotation.retire(system)


STEPS = ("_switch", "_seal_root", "_seal_column", "_retire", "keep_retired", "write_keys")


@pytest.fixture(params=STEPS)
def step(request: pytest.FixtureRequest) -> Iterator[str]:
    return request.param


async def test_an_interrupted_rotation_is_finished(
    settings: Settings, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_system(settings) as system:
        await fill(system)
        before = system.seal.fingerprint
        calls = 0

        def killed(*_: object) -> None:
            nonlocal calls
            calls += 1
            raise Killed

        if not settings.is_sqlite:
            await key_rotation.add(system)
        with monkeypatch.context() as patch:
            patch.setattr(key_rotation, step, killed)
            patch.setattr(key_rotation, "CHECK_EVERY", 0.0)
            with pytest.raises(Killed):
                await rotate_and_retire(system)
        assert calls == 1
        await check_everything_opens(system)
    monkeypatch.setattr(key_rotation, "CHECK_EVERY", 0.0)
    async with open_system(settings) as system:
        await check_everything_opens(system)
        if settings.is_sqlite or step != "write_keys":
            await key_rotation.rotate(system)
        await key_rotation.retire(system)
        status = await key_rotation.show(system)
        assert len(status.known) == 1
        assert before not in status.known
        assert all(keys == {status.sealing} for keys in (await sealed_columns(system)).values())
        await check_everything_opens(system)


async def test_a_slice_is_not_the_end(system: AppContext, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        await channels.create(system, f"Channel {number}", f"key{number}")
    monkeypatch.setattr(key_rotation, "SLICE", 2)
    status = await rotated(system)
    assert all(keys == {status.sealing} for keys in (await sealed_columns(system)).values())


async def test_a_secret_of_a_lost_key_is_told_and_left_alone(system: AppContext) -> None:
    await channels.create(system, "Lost", "lost")
    channel = (await system.directory.now()).channels["lost"]
    text = sealed_with("0" * 12) + "AAAA"
    await channels.rotate(system, "lost", clock.HOUR)
    async with system.database.write() as tx:
        table = metadata.tables["channels"]
        await tx.run(update(table).where(table.c.id == channel.id).values(old_secret=text))
    status = await rotated(system)
    assert status.unreadable == 1
    async with system.database.read() as tx:
        assert await tx.value(select(table.c.old_secret)) == text


async def test_several_machines_need_the_new_key_before(system: AppContext) -> None:
    if system.settings.is_sqlite:
        pytest.skip("SQLite has one machine")
    with pytest.raises(Invalid) as refused:
        await key_rotation.rotate(system)
    assert refused.value.reason == "key_missing"
    await key_rotation.add(system)
    with pytest.raises(Invalid) as refused:
        await key_rotation.add(system)
    assert refused.value.reason == "key_not_retired"


async def test_keys_of_the_environment(settings: Settings) -> None:
    keys = [base64.b64encode(os.urandom(32)).decode() for _ in range(2)]
    first = structs.replace(settings, secret_key=keys[0])
    async with open_system(first) as system:
        await fill(system)
        for refused in (key_rotation.add, key_rotation.retire, key_rotation.rotate):
            with pytest.raises(Invalid) as caught:
                await refused(system)
            assert caught.value.reason in ("key_from_environment", "key_missing")
    both = structs.replace(settings, secret_key=",".join(keys))
    async with open_system(both) as system:
        status = await key_rotation.rotate(system)
        assert status.sealed[status.known[0]] == 0
        assert status.known[1] == status.sealing
    second = structs.replace(settings, secret_key=keys[1])
    async with open_system(second) as system:
        await check_everything_opens(system)
    assert not (settings.data_dir / KEY_FILE).exists()


async def test_a_folder_with_another_key_seals_nothing(settings: Settings) -> None:
    """Also where nothing is sealed yet: the first process has named its key."""
    async with open_system(settings) as first:
        sealing = first.seal.fingerprint
    other = structs.replace(settings, secret_key=base64.b64encode(bytes(32)).decode())
    async with open_system(other) as system:
        assert system.seal.fingerprint == sealing
        for work in (
            channels.create(system, "One"),
            create_access_key(system),
            health_checks.require_key(system),
        ):
            with pytest.raises(Invalid) as caught:
                await work
            assert caught.value.reason == "secret_unreadable"
        assert await channels.list_channels(system) == []
