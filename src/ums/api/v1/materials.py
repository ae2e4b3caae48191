"""Materials: `/v1/material` (ums-spec 3.12)."""

import asyncio
import re
from typing import Final

from litestar import HttpMethod, Response, post, route

from ums.api.authentication import channel_of
from ums.api.multipart import Part, read_form
from ums.api.responses import Call, answer, system_of
from ums.core.channels.channels import check_channel
from ums.core.content.file_names import disposition_name
from ums.core.content.material_upload import HOURS, Storing
from ums.core.context.app_context import AppContext
from ums.errors import Forbidden, Invalid

MAX_FIELD: Final = 256  # bytes of a field that is no file
_HOURS: Final = re.compile(r"[0-9]{1,3}")


@post("/v1/material", body="material", status_code=200)
async def upload(request: Call) -> Response[bytes]:
    """Take in a file that messages can name in `files`."""
    system = system_of(request)
    channel = await channel_of(request)
    check_channel(channel)
    form = _Form(system, channel.id)
    try:
        async for event in read_form(request.headers.get("content-type", ""), request.stream()):
            await form.take(event)
        url = await form.finish()
    except BaseException:
        await asyncio.shield(form.discard())
        raise
    return answer({"code": 0, "message": "success", "url": url})


@route("/v1/material/{token:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def hidden() -> Response[bytes]:
    """Refused, whether there is such a material or not."""
    raise Forbidden("material_hidden")


class _Form:
    """The parts of an upload, in whatever order they come; others than these are passed over."""

    def __init__(self, system: AppContext, channel_id: int) -> None:
        self._system = system
        self._channel_id = channel_id
        self._fields: dict[str, bytearray] = {}
        self._part = ""
        self._file: Storing | None = None

    async def take(self, event: Part | bytes) -> None:
        if isinstance(event, Part):
            self._begin(event)
        elif self._part == "file":
            await self._storing().add(event)
        elif (field := self._fields.get(self._part)) is not None:
            field += event
            if len(field) > MAX_FIELD:
                raise Invalid("bad_value", field=self._part)

    def _begin(self, part: Part) -> None:
        self._part = part.name
        if part.name == "file":
            if self._file is not None:
                raise Invalid("one_value", field="file")
            name = disposition_name(part.disposition)
            self._file = Storing(self._system, name, part.content_type, self._channel_id)
        elif part.name in ("type", "time_to_live"):
            if part.name in self._fields:
                raise Invalid("one_value", field=part.name)
            self._fields[part.name] = bytearray()

    def _storing(self) -> Storing:
        if self._file is None:
            raise Invalid("missing", field="file")
        return self._file

    async def finish(self) -> str:
        """The URL. Raises UmsError."""
        if "type" not in self._fields:
            raise Invalid("missing", field="type")
        if bytes(self._fields["type"].strip()) != b"attachment":
            raise Invalid("material_type")
        return (await self._storing().finish(self._hours())).url

    def _hours(self) -> int:
        given = self._fields.get("time_to_live")
        if given is None:
            return HOURS
        text = given.decode("latin-1").strip()
        if not _HOURS.fullmatch(text):
            raise Invalid("material_ttl")
        return int(text)

    async def discard(self) -> None:
        if self._file is not None:
            await self._file.discard()


handlers = [upload, hidden]
