"""The versions of templates that are in use, ready to be rendered, the least used given up.

A version never changes once it is stored, so what is kept here is never out of date.
"""

import asyncio
from collections import OrderedDict
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import select

from ums.core.tables import template_versions
from ums.core.templates.renderer import Renderer
from ums.core.templates.syntax_tree import Compiled
from ums.core.templates.values import Missing
from ums.db import Database, Tx

KEPT: Final = 200
KEPT_OCTETS: Final = 64 * 1024 * 1024
COMPILING: Final = 2  # at a time


class Person(Struct, frozen=True):
    """A recipient, as a template sees one."""

    address: str
    userid: str = ""
    attributes: dict[str, Any] = {}


class Version(Struct):
    """A version of a template, ready to be rendered."""

    template_id: int
    number: int
    source_subject: str
    names: tuple[str, ...]  # of its variables
    own_names: tuple[str, ...]  # of those, the recipient's own attributes, without `user.`
    required: frozenset[str]  # of the names, those that every recipient needs
    paths: list[list[str]]  # the same with their members
    defaults: dict[str, Any]
    subject: Renderer
    html: Renderer | None
    text: Renderer | None
    size: int

    def values(
        self,
        person: Person,
        para: dict[str, Any],
        own: dict[str, Any] | None = None,
        *,
        named: bool = False,
    ) -> dict[str, Any]:
        """The value of each variable for a recipient: from `own`, the delivery's; from `para`,
        the message's; from the user's attributes; from the defaults.

        Raises RenderError for one that is required and nowhere; with `named` that one's value is
        its name in brackets.
        """
        found: dict[str, Any] = {}
        for name in self.names:
            value = None
            if own is not None:
                value = own.get(name)
            if value is None:
                value = para.get(name)
            if value is None:
                value = person.attributes.get(name)
            found[name] = self._settled(name, value, named)
        for name in self.own_names:
            if name in ("userid", "address"):
                found[f"user.{name}"] = person.userid if name == "userid" else person.address
                continue
            own_name = f"user.{name}"
            found[own_name] = self._settled(own_name, person.attributes.get(name), named)
        return found

    def _settled(self, name: str, value: Any, named: bool) -> Any:
        if value is None:
            value = self.defaults.get(name)
        if value is not None:
            return value
        missing = Missing(name)
        if name in self.required:
            if named:
                return f"[{name}]"
            raise missing.error()
        return missing

    def shared(self, para: dict[str, Any]) -> bool:
        """Whether it reads the same to every recipient who brings no variables of its own."""
        return not self.own_names and all(para.get(name) is not None for name in self.names)

    def lacking(self, para: dict[str, Any], attributes: dict[str, Any] | None) -> list[str]:
        """The required variables that have no value, with their paths; those of which nothing
        can be known without `attributes` (None) are left out."""
        found = [self._lack(path, para, attributes) for path in self.paths]
        return [name for name in found if name]

    def _lack(
        self, path: list[str], para: dict[str, Any], attributes: dict[str, Any] | None
    ) -> str:
        name, own = path[0], path[0].startswith("user.")
        if name in ("user.userid", "user.address"):
            return ""
        value = None if own else para.get(name)
        if value is None:
            if attributes is None:
                return ""
            value = attributes.get(name.removeprefix("user."))
        if value is None:
            value = self.defaults.get(name)
        if value is None:
            return name
        for length, key in enumerate(path[1:], 2):
            value = value.get(key) if isinstance(value, dict) else None
            if value is None:
                return ".".join(path[:length])
        return ""


class TemplateCache:
    """The versions this process has read."""

    def __init__(self, database: Database) -> None:
        self.turns = asyncio.Semaphore(COMPILING)
        self._database = database
        self._kept: OrderedDict[tuple[int, int], Version] = OrderedDict()
        self._octets = 0

    async def version(self, template_id: int, number: int) -> Version | None:
        key = (template_id, number)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        async with self._database.read() as tx:
            found = await read_version(tx, template_id, number)
        if found is not None and key not in self._kept:
            self._keep(key, found)
        return found

    def _keep(self, key: tuple[int, int], version: Version) -> None:
        self._kept[key] = version
        self._octets += version.size
        while len(self._kept) > KEPT or (self._octets > KEPT_OCTETS and len(self._kept) > 1):
            _, old = self._kept.popitem(last=False)
            self._octets -= old.size


async def read_version(tx: Tx, template_id: int, number: int) -> Version | None:
    columns = template_versions.c
    query = select(columns.subject, columns.defaults, columns.compiled)
    mine = (columns.template_id == template_id) & (columns.version == number)
    row = await tx.first(query.where(mine))
    if row is None:
        return None
    compiled = msgspec.json.decode(row.compiled, type=Compiled)
    defaults = msgspec.json.decode(row.defaults, type=dict[str, Any])
    return made(template_id, number, row.subject, compiled, defaults, len(row.compiled))


def made(
    template_id: int,
    number: int,
    subject: str,
    compiled: Compiled,
    defaults: dict[str, Any],
    size: int = 0,
) -> Version:
    return Version(
        template_id=template_id,
        number=number,
        source_subject=subject,
        names=tuple(name for name in compiled.names if not name.startswith("user.")),
        own_names=tuple(name[5:] for name in compiled.names if name.startswith("user.")),
        required=frozenset(path[0] for path in compiled.required),
        paths=compiled.required,
        defaults=defaults,
        subject=Renderer(compiled.subject, html=False),
        html=Renderer(compiled.html, html=True) if compiled.html else None,
        text=Renderer(compiled.text, html=False) if compiled.text else None,
        size=size * 10,  # functions weigh more than the JSON they are made of
    )
