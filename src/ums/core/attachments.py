"""The files of a message: materials, which are only referred to, and others, which are fetched."""

from collections.abc import Sequence

from msgspec import Struct

from ums.core import materials
from ums.core.fetch import FIELD, fetch_files
from ums.core.requests import MAX_FILES
from ums.core.system import System
from ums.errors import Invalid, TooLarge


class Attached(Struct, frozen=True):
    """A file as it is stored with its message: with its content, or as a reference."""

    name: str
    content_type: str
    data: bytes | None = None
    material_id: int | None = None


async def gather(system: System, urls: Sequence[str], field: str = FIELD) -> list[Attached]:
    """The files at `urls`, in their order; together at most `settings.file_limit` bytes.

    `field` is where they stand in the request, for errors. Raises Invalid (material_unknown) and
    what `fetch_files` raises.
    """
    if len(urls) > MAX_FILES:
        raise Invalid("too_many", field=field, limit=MAX_FILES)
    found = await materials.resolve(system, urls, field)
    taken = sum(material.size for material in found.values())
    if taken > system.settings.file_limit:
        raise TooLarge("files_too_large", limit=system.settings.file_limit)
    rest = [place for place in range(len(urls)) if place not in found]
    fields = [f"{field}[{place}]" for place in rest]
    fetched = await fetch_files(
        [urls[place] for place in rest], system.settings, fields=fields, taken=taken
    )
    attached = {place: Attached(m.name, m.content_type, None, m.id) for place, m in found.items()}
    for place, file in zip(rest, fetched, strict=True):
        attached[place] = Attached(file.name, file.content_type, file.data)
    return [attached[place] for place in range(len(urls))]


def material_ids(files: Sequence[Attached]) -> set[int]:
    """The materials among `files`."""
    return {file.material_id for file in files if file.material_id is not None}
