"""Attachments by URL, from the request to the mail that arrives."""

import asyncio

import msgspec

from support.doors import Answer, open_door
from ums.config import Settings


async def test_files_are_fetched_and_arrive(settings: Settings) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 3\r\n"
        writer.write(head + b"Connection: close\r\n\r\n1,2")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/list.csv"
    allowing = msgspec.structs.replace(settings, fetch_allow="127.0.0.1/32")
    async with server, open_door(allowing) as door:
        channel = await door.channel()
        body = {
            "aud_email": [{"data": ["a@example.org"]}],
            "msg_email": [{"subject": "s", "text": "t", "files": [url]}],
        }
        answer: Answer = await door.post("/v1/sent", body, channel)
        await door.done(answer.body["msgid"], channel)
        assert b"list.csv" in door.smtp.mails[0].data
