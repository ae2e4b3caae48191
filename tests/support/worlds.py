"""What there is of one channel, for tests that ask for it as somebody else."""

import re
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

from sqlalchemy import insert, select

from support import openapi
from support.doors import Answer, Door, OneChannel
from ums import clock
from ums.core.content import material_upload
from ums.core.identity import proofs, sessions
from ums.core.net import standard_webhooks
from ums.core.tables import callback_addresses, callback_batches, operators

DOCUMENT = openapi.the_document()
OPERATIONS = list(openapi.operations(DOCUMENT))
Operation = tuple[str, str, dict[str, Any]]
_numbers = count(1)


class World:
    """What is there of one channel, and what stands for each parameter of a path."""

    def __init__(self, door: Door, owner: OneChannel, values: dict[str, str]) -> None:
        self.door, self.owner, self.values = door, owner, values

    def path(self, template: str) -> str:
        # A parameter that is not here needs its value of the owner's: add it to `make`.
        return re.sub(r"\{(\w+)\}", lambda found: self.values[found[1]], template)

    async def ask(self, operation: Operation, who: Any) -> Answer:
        method, template, told = operation
        return await self.door.ask(method, self.path(template), who, **self._body(told))

    def _body(self, told: dict[str, Any]) -> dict[str, Any]:
        return openapi.body(told, DOCUMENT, channel=self.owner.key)

    def hides(self, answer: Answer, operation: Operation) -> bool:
        """Whether it tells nothing of the owner's but what was asked with."""
        _, template, described = operation
        asked = self.path(template) + repr(self._body(described))
        hidden = {self.owner.key, self.values["msgid"], "private.example", self.owner.sender}
        told = {word for word in hidden if word in asked}
        return not any(word.encode() in answer.raw for word in hidden - told)


async def make(door: Door) -> World:
    owner = await door.channel()
    admin = await door.api_token()
    userid = f"someone{next(_numbers)}"
    entry = {
        "userid": userid,
        "email": {owner.key: f"a{owner.key}@private.example"},
    }
    await door.post("/v1/user/opt", [entry], owner)
    mail = {"aud_userid": [userid], "msg_email": [{"subject": "s", "text": "t"}]}
    msgid = (await door.post("/v1/sent", mail, owner)).body["msgid"]
    await door.done(msgid, owner)
    deliveries = (await door.get(f"/api/messages/{msgid}/deliveries", owner)).body["items"]
    token = {"name": "theirs", "scopes": ["admin"], "channels": [owner.key]}
    operator = {"name": f"op{owner.key}", "password": "seven grey herons", "role": "viewer"}
    await door.post("/api/operators", operator, admin)
    values = {
        "key": owner.key,
        "code": owner.sender,
        "msgid": msgid,
        "delivery_id": str(deliveries[0]["id"]),
        "userid": userid,
        "name": operator["name"],
        "session_id": str(await _signed_in(door, operator["name"])),
        "id": str((await door.post("/api/tokens", token, admin)).body["id"]),
        **await _settled(door, owner, admin),
        **await _told(door, owner),
    }
    return World(door, owner, values)


async def _signed_in(door: Door, name: str) -> int:
    """A session of the operator's."""
    mine = operators.c.name == name
    async with door.system.database.read() as tx:
        row = await tx.first(select(operators).where(mine))
    async with door.system.database.write() as tx:
        await sessions.begin(tx, proofs.of_password(row), "127.0.0.1", "")
    return (await sessions.list_sessions(door.system, row.id))[0].id


async def _settled(door: Door, owner: OneChannel, admin: str) -> dict[str, str]:
    """One of each thing that is made for a channel."""

    async def made(path: str, body: object) -> str:
        answer = await door.post(path, body, admin)
        assert answer.status == 201, answer.raw
        return str(answer.body["id"])

    mine, name = f"/api/channels/{owner.key}", f"of {owner.key}"
    material = await material_upload.store(
        door.system, _bytes(b"theirs"), name="theirs.txt", channel_id=await _id(door, owner)
    )
    return {
        "template_id": await made(f"{mine}/templates", {"name": name, "subject": "s", "text": "t"}),
        "list_id": await made(f"{mine}/lists", {"kind": "block", "name": name}),
        "strategy_id": await made(f"{mine}/strategies", {"name": name}),
        "word_id": await made(f"{mine}/words", {"word": name}),
        "segment_id": await made("/api/segments", {"name": f"segment {next(_numbers)}"}),
        "material_id": str(material.id),
        "rule_id": await made("/api/reply-rules", {"text": f"of {owner.key}", "reason": "rate"}),
    }


async def _told(door: Door, owner: OneChannel) -> dict[str, str]:
    """An address of the channel's that was told once, in vain."""
    now, url = clock.now(), f"https://{owner.key}.private.example/told"
    secret = door.system.seal.close(standard_webhooks.new_secret(), f"callback:{owner.key}:{url}")
    address = {"channel_id": await _id(door, owner), "url": url, "is_default": True}
    address |= {"schedule": "hosted", "secret": secret, "state": "verified"}
    batch = {"webhook_id": f"of {owner.key}", "state": "dead", "size": 0}
    times = dict.fromkeys(("first_at", "last_at", "due_at", "created_at", "ended_at"), now)
    async with door.system.database.write() as tx:
        made = insert(callback_addresses).returning(callback_addresses.c.id)
        id = await tx.value(made, {**address, "state_changed_at": now, "created_at": now})
        told = insert(callback_batches).returning(callback_batches.c.id)
        batch_id = await tx.value(told, {**batch, **times, "address_id": id})
    return {"callback_id": str(id), "batch_id": str(batch_id)}


async def _id(door: Door, owner: OneChannel) -> int:
    door.system.directory.forget()
    return (await door.system.directory.now()).channels[owner.key].id


async def _bytes(data: bytes) -> AsyncIterator[bytes]:
    yield data
