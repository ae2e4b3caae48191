"""Callers that take their time."""

from msgspec import structs

from support.doors import open_door
from ums.config import Settings


async def test_a_body_that_never_comes(settings: Settings) -> None:
    async with open_door(structs.replace(settings, body_seconds=0.2)) as door:
        channel = await door.channel()
        head = (
            "POST /v1/sent HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: {channel.header}\r\nContent-Length: 10\r\n\r\n"
        )
        answer = await door.wire(head.encode())
    assert answer.told == (408, 4004, "too_slow")
