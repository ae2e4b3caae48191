"""The files of a message: materials, which are only referred to, and others, which are fetched."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ums.core.content import materials
from ums.core.content.attachment_fetcher import fetch_files
from ums.core.content.file_names import name_and_type
from ums.core.context.app_context import AppContext
from ums.errors import TooLarge


class FileRequest(Struct, frozen=True):
    """A file that a message is to bring: what is at `url`, or `data`.

    `name` and `content_type` go before those that come with it; `cid` is by what the HTML shows it;
    `field` is where it stands in the request, for errors.
    """

    field: str
    url: str = ""
    data: bytes | None = None
    name: str = ""
    content_type: str = ""
    cid: str = ""


class Attached(Struct, frozen=True):
    """A file as it is stored with its message: with its content, or as a reference."""

    name: str
    content_type: str
    data: bytes | None = None
    material_id: int | None = None
    cid: str = ""


async def gather(system: AppContext, asked: Sequence[FileRequest]) -> list[Attached]:
    """The files, in their order; together at most `settings.attachments_limit_bytes`.

    Raises Invalid (material_unknown) and what `fetch_files` raises.
    """
    given = {place: len(file.data) for place, file in enumerate(asked) if file.data is not None}
    found = await _at_urls(system, asked, sum(given.values()))
    return [_named(file, found.get(place)) for place, file in enumerate(asked)]


async def _at_urls(
    system: AppContext, asked: Sequence[FileRequest], taken: int
) -> dict[int, Attached]:
    """Those that are not in the request itself, which has `taken` bytes of files."""
    places = [place for place, file in enumerate(asked) if file.data is None]
    urls = [asked[place].url for place in places]
    fields = [asked[place].field for place in places]
    found = await materials.resolve(system, urls, fields)
    taken += sum(material.size for material in found.values())
    if taken > system.settings.attachments_limit_bytes:
        raise TooLarge("files_too_large", limit=system.settings.attachments_limit_bytes)
    rest = [at for at in range(len(urls)) if at not in found]
    fetched = await fetch_files(
        [urls[at] for at in rest],
        system.settings,
        fields=[fields[at] for at in rest],
        taken=taken,
    )
    attached = {
        places[at]: Attached(one.name, one.content_type, None, one.id) for at, one in found.items()
    }
    for at, file in zip(rest, fetched, strict=True):
        attached[places[at]] = Attached(file.name, file.content_type, file.data)
    return attached


def _named(asked: FileRequest, found: Attached | None) -> Attached:
    """The file under the name and of the type that were asked for."""
    names = (asked.name, found.name if found else "")
    name, kind = name_and_type(names, asked.content_type or (found.content_type if found else ""))
    if found is None:
        return Attached(name, kind, asked.data, cid=asked.cid)
    return replace(found, name=name, content_type=kind, cid=asked.cid)


def material_ids(files: Sequence[Attached]) -> set[int]:
    """The materials among `files`."""
    return {file.material_id for file in files if file.material_id is not None}
