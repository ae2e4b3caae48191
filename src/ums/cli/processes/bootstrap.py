"""The first start: an administrator, a demo channel and its sandbox sender."""

import os
from pathlib import Path

from msgspec import Struct, structs
from sqlalchemy import select

from ums.config import Settings
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.identity import operators
from ums.core.maintenance.health_checks import require_key
from ums.core.maintenance.startup import open_system
from ums.core.senders import senders
from ums.core.senders.senders import NewSender
from ums.core.tables import channels as channel_rows
from ums.core.tables import senders as sender_rows

DEMO_CHANNEL = "Demo"
SANDBOX = NewSender(
    code="sandbox",
    name="Sandbox",
    host="sandbox.localhost",
    port=25,
    encryption="none",
    from_address="ums@sandbox.localhost",
    from_name="UMS Sandbox",
)


FILE = "first-start.txt"


class Greeting(Struct, frozen=True):
    """What is shown once and never again."""

    password: str | None  # "" for one that the installer has chosen
    channelkey: str
    mastersecret: str

    def lines(self, url: str) -> list[str]:
        lines: list[str] = []
        if self.password == "":
            lines += ["Administrator: admin, with the password of UMS_ADMIN_PASSWORD", ""]
        elif self.password:
            lines += [f"Administrator: admin, password {self.password}  (shown this once)", ""]
        if self.channelkey:
            lines += self._try(url)
        return lines

    def _try(self, url: str) -> list[str]:
        curl = f"curl -u {self.channelkey}:{self.mastersecret} {url}"
        user = '[{"userid": "you", "email": {"all": "you@example.com"}}]'
        mail = (
            '{"aud_userid": ["you"], "msg_email": [{"subject": "Hello from UMS 你好",'
            ' "text": "<h1>It works.</h1><p>This mail came through UMS.</p>"}]}'
        )
        return [
            "Try it (the demo channel's mail stays in the sandbox; its secret is shown this once):",
            "",
            "  # 1. bind an address to a user",
            f"  {curl}/v1/user/opt -d '{user}'",
            "",
            "  # 2. send",
            f"  {curl}/v1/sent -d '{mail}'",
            "",
            f"  # 3. see the result (and the mail itself at {url}/sandbox)",
            f"  {curl}/api/messages",
            "",
        ]


def keep(folder: Path, greeting: Greeting, url: str) -> Path:
    """Leave the greeting where only this user can read it: what a service prints goes to a log."""
    path = folder / FILE
    aside = path.with_name(f"{FILE}.{os.getpid()}")
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write("\n".join(greeting.lines(url)))
    aside.replace(path)
    return path.absolute()


async def prepare(settings: Settings) -> Greeting | None:
    """Make what a new installation needs; None when it is not new. Raises db.HeldError."""
    async with open_system(settings) as system:
        await require_key(system)
        password = await operators.create_first(system)
        if not settings.demo or not await _wants_demo(system, first=password is not None):
            return None if password is None else Greeting(password, "", "")
        made = await channels.create(system, DEMO_CHANNEL)
        sandbox = structs.replace(SANDBOX, channels=[made.channelkey])
        await senders.create(system, sandbox, type="sandbox")
        return Greeting(password, made.channelkey, str(made.mastersecret))


async def _wants_demo(system: AppContext, *, first: bool) -> bool:
    """On the first start, and when that broke off before anybody made a channel; unless somebody
    has taken the demo's names by then."""
    async with system.database.read() as tx:
        names = {row.name for row in await tx.rows(select(channel_rows.c.name))}
        taken = (sender_rows.c.code == SANDBOX.code) | (sender_rows.c.name == SANDBOX.name)
        if DEMO_CHANNEL in names or await tx.first(select(sender_rows.c.id).where(taken)):
            return False
    return first or not names
