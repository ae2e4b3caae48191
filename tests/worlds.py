"""What there is of one channel, for tests that ask for it as somebody else."""

import re
from itertools import count
from typing import Any

import openapi
from doors import Answer, Door, OneChannel

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
        asked = self.path(template) + repr(self._body(described).get("content"))
        hidden = {self.owner.key, self.values["msgid"], "private.example", self.owner.sender}
        told = {word for word in hidden if word in asked}
        return not any(word.encode() in answer.raw for word in hidden - told)


async def make(door: Door) -> World:
    owner = await door.channel()
    admin = await door.api_token()
    entry = {
        "userid": f"someone{next(_numbers)}",
        "email": {owner.key: f"a{owner.key}@private.example"},
    }
    await door.post("/v1/user/opt", [entry], owner)
    mail = {"aud_userid": [entry["userid"]], "msg_email": [{"subject": "s", "text": "t"}]}
    msgid = (await door.post("/v1/sent", mail, owner)).body["msgid"]
    await door.done(msgid, owner)
    deliveries = (await door.get(f"/api/messages/{msgid}/deliveries", owner)).body["items"]
    token = {"name": "theirs", "scopes": ["admin"], "channels": [owner.key]}
    operator = {"name": f"op{owner.key}", "password": "x" * 12, "role": "viewer"}
    await door.post("/api/operators", operator, admin)
    values = {
        "key": owner.key,
        "code": owner.sender,
        "msgid": msgid,
        "delivery_id": str(deliveries[0]["id"]),
        "userid": entry["userid"],
        "name": operator["name"],
        "id": str((await door.post("/api/tokens", token, admin)).body["id"]),
    }
    return World(door, owner, values)
