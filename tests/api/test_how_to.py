"""The Python of docs/how-to/send-by-api.md does what the page says."""

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from support.doors import Door, OneChannel
from ums.core.templates import store
from ums.core.templates.compiler import Sources

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
PAGE = PAGES / "send-by-api.md"


def program(door: Door, channel: OneChannel, **other: str) -> dict[str, Any]:
    """All of the page's Python in one module, with `other` words in place of some."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))
    code = code.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{door.port}")
    code = code.replace('"KEY"', repr(channel.key)).replace('"SECRET"', repr(channel.secret))
    for old, new in other.items():
        code = code.replace(old, new)
    names: dict[str, Any] = {}
    exec(compile(code, PAGE.name, "exec"), names)
    return names


async def test_it(shared: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = await shared.channel()
    (tmp_path / "报价.pdf").write_bytes(b"%PDF-")
    monkeypatch.chdir(tmp_path)
    names = await asyncio.to_thread(program, shared, channel)
    send, ums = names["send"], names["ums"]
    msgid = await asyncio.to_thread(send, 17, "a@example.com")
    assert await asyncio.to_thread(send, 17, "a@example.com") == msgid
    assert (await shared.done(msgid, channel))["counts"] == {"sent": 1}
    with pytest.raises(RuntimeError, match="bad_address"):
        await asyncio.to_thread(send, 18, "nobody")

    body = {"aud_email": [{"data": ["b@example.com"]}], "msg_email": [names["send_with"]]}

    def post() -> httpx.Response:
        return ums.post("/v1/sent", json=body)

    answer = await asyncio.to_thread(names["patiently"], post)
    await shared.done(answer.json()["msgid"], channel)
    assert b"JVBERi0=" in shared.smtp.mails[-1].data
    await asyncio.to_thread(ums.close)


async def test_it_waits_when_it_is_told_to(
    shared: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "报价.pdf").write_bytes(b"%PDF-")
    monkeypatch.chdir(tmp_path)
    names = await asyncio.to_thread(program, shared, await shared.channel())
    waited: list[float] = []
    names["time"] = SimpleNamespace(sleep=waited.append)
    answers: list[Any] = [
        httpx.Response(429, headers={"Retry-After": "3"}),
        httpx.ConnectError("nobody there"),
        httpx.Response(503),
        httpx.Response(400),
    ]

    def post() -> httpx.Response:
        one = answers.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    assert names["patiently"](post).status_code == 400
    assert waited == [3.0, 2, 4]
    names["ums"].close()


async def test_it_sends_an_invoice(
    shared: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "报价.pdf").write_bytes(b"%PDF-")
    monkeypatch.chdir(tmp_path)
    who = await shared.channel()
    channel = (await shared.system.directory.now()).channels[who.key]
    sources = Sources("Invoice of {{ name }}", text="Thank you.")
    made = await store.create(shared.system, channel, "invoice", sources, {})
    names = await asyncio.to_thread(
        program, shared, who, **{'"template": 3': f'"template": {made.id}'}
    )
    msgid = await asyncio.to_thread(names["invoice"], "a@example.com", "Li", b"%PDF-1")
    await asyncio.to_thread(names["ums"].close)
    assert (await shared.done(msgid, who))["counts"] == {"sent": 2}
    reached = {one.rcpt_to for one in shared.smtp.mails if b"Invoice of Li" in one.data}
    assert reached == {"a@example.com", "accounts@example.com"}


async def test_a_time_on_the_clock_of_a_place() -> None:
    code = re.findall(r"```python\n(.*?)```", (PAGES / "schedule.md").read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code[0], names)
    assert names["body"] == {"starts_at": "2027-03-28T08:00:00+02:00"}
