"""Who may have a receiver sent the MasterSecret, by each of the API's credentials."""

import base64

import pytest

from support.doors import Door
from support.flow import with_settings
from support.receiver import receiving
from support.telling import ALLOWED
from ums.core.identity.scopes import OF_CHANNEL


@pytest.mark.parametrize(
    ("scopes", "bound", "status"),
    [
        (("callbacks:write",), True, 403),
        (("callbacks:write",), False, 403),
        (("callbacks:write", "channels:read", "messages:send"), True, 403),
        (("callbacks:write", "channels:write"), True, 403),
        (tuple(sorted(OF_CHANNEL)), True, 403),
        (tuple(sorted({*OF_CHANNEL, "channels:write"})), True, 201),
        (("admin",), False, 201),
    ],
)
async def test_which_token_may_choose_the_hosted_form(
    door: Door, scopes: tuple[str, ...], bound: bool, status: int
) -> None:
    with_settings(door.system, **ALLOWED)
    channel = await door.channel()
    token = await door.api_token(*scopes, channels=[channel.key] if bound else None)
    path = f"/api/channels/{channel.key}/callbacks"
    async with receiving(channel.key, channel.secret) as receiver:
        asked = {"url": receiver.url, "form": "hosted"}
        answer = await door.post(path, asked, token)
        assert answer.status == status, answer.raw
        assert len(receiver.asked) == (status == 201)


async def test_the_channel_s_own_key_switches_the_hosted_form_on_and_others_do_not_move_it(
    door: Door,
) -> None:
    with_settings(door.system, **ALLOWED)
    channel = await door.channel()
    token = await door.api_token("callbacks:write", channels=[channel.key])
    path = f"/api/channels/{channel.key}/callbacks"
    async with receiving("", "") as receiver:
        made = await door.post(path, {"url": receiver.url}, token)
        assert (made.status, made.body["form"], made.body["username"]) == (201, "signed", "")
        one = f"{path}/{made.body['id']}"
        refused = await door.send("PATCH", one, {"form": "hosted"}, token)
        assert refused.told == (403, 4005, "callback_hosted")
        receiver.key, receiver.secret = channel.key, channel.secret
        changed = await door.send("PATCH", one, {"form": "hosted"}, channel)
        assert (changed.status, changed.body["form"]) == (200, "hosted")
        moved = {"url": f"{receiver.url}?theirs"}
        refused = await door.send("PATCH", one, moved, token)
        assert refused.told == (403, 4005, "callback_hosted")
        assert (await door.send("PATCH", one, moved, channel)).body["url"] == moved["url"]
        assert (await door.post(f"{one}/test", {}, token)).body["ok"] is True  # it was chosen
        given = [asked.headers.get("authorization") for asked in receiver.asked]
        secret = base64.b64encode(f"{channel.key}:{channel.secret}".encode()).decode()
        assert given == [None, *[f"Basic {secret}"] * 3]


async def test_who_cannot_replace_the_secret_cannot_have_it_sent(door: Door) -> None:
    """Not even with all that the secret itself allows: it would outlive the token."""
    with_settings(door.system, **ALLOWED)
    channel = await door.channel()
    path = f"/api/channels/{channel.key}/callbacks"
    most = await door.api_token(*OF_CHANNEL, "messages:approve", channels=[channel.key])
    enough = await door.api_token(*OF_CHANNEL, "channels:write", channels=[channel.key])
    async with receiving(channel.key, channel.secret) as receiver:
        asked = {"url": receiver.url, "form": "hosted"}
        assert (await door.post(f"/api/channels/{channel.key}/rotate", {}, most)).status == 403
        refused = await door.post(path, asked, most)
        assert refused.told == (403, 4005, "callback_hosted")
        assert receiver.asked == []
        assert (await door.post(path, asked, enough)).status == 201


async def test_a_password_is_never_shown(door: Door) -> None:
    with_settings(door.system, **ALLOWED)
    channel = await door.channel()
    path = f"/api/channels/{channel.key}/callbacks"
    async with receiving("ums", "hidden-word") as receiver:
        asked = {"url": receiver.url, "username": "ums", "password": "hidden-word"}
        made = await door.post(path, asked, channel)
        assert made.body["username"] == "ums"
        assert b"hidden-word" not in made.raw + (await door.get(path, channel)).raw
