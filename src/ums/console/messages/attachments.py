"""Attachments of a message that is being written: materials, named in the form by their URLs."""

from typing import Any, Final

from litestar.datastructures import UploadFile

from ums.console.rendering import AnyRequest
from ums.core.content import material_upload
from ums.core.context.directory import Channel
from ums.core.messages.new_message import Attachment
from ums.web.streams import pieces_of_upload

KEPT_HOURS: Final = 168


def kept_files(urls: list[str]) -> list[Attachment]:
    """The attachments that the draft had already."""
    return [Attachment(url=url, name=name) for url, _, name in (one.partition(" ") for one in urls)]


async def attached(
    request: AnyRequest, system: Any, channel: Channel, kept: list[str]
) -> list[str]:
    """The attachments that the draft had already, and those that were uploaded now."""
    data: Any = await request.form()
    found = list(kept)
    for name, file in data.multi_items():
        if isinstance(file, UploadFile) and file.filename and name == "files":
            made = await material_upload.store(
                system,
                pieces_of_upload(file, material_upload.CHUNK),
                name=file.filename,
                content_type=file.content_type or "",
                hours=KEPT_HOURS,
                channel_id=channel.id,
            )
            found.append(f"{made.url} {made.name}")
    return found
