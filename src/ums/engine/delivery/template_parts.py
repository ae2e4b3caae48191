"""A template made ready for mail: what is the same for everyone is encoded once."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from ums.core.templates.cache import Person, TemplateCache, Version
from ums.core.templates.renderer import Renderer
from ums.errors import Detail
from ums.mail.custom_headers import CustomHeaders
from ums.mail.mime.builder import (
    BadContent,
    File,
    MimeContent,
    MimeTemplate,
    Placeholder,
    late_subject,
)
from ums.mail.mime.transfer_encoding import encoder

KEPT: Final = 60
KEPT_SKELETONS: Final = 20
Build = Callable[[MimeContent], MimeTemplate]
Values = dict[str, Any]


class PrecompiledTemplate:
    """A version of a template whose static texts carry their transfer encoding already."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self._text = _Part(version.text) if version.text else None
        self._html = _Part(version.html) if version.html else None
        self._subject = b""  # where it has no variables
        if version.subject.fixed:
            self._subject = late_subject(version.subject.text({}))
        self._skeletons: OrderedDict[object, MimeTemplate] = OrderedDict()

    def skeleton(self, key: object, extras: CustomHeaders, build: Build) -> MimeTemplate:
        """The mail without its texts, for all messages of the same `key`."""
        found = self._skeletons.get(key)
        if found is None:
            found = self._skeletons[key] = build(self.content((), extras))
            if len(self._skeletons) > KEPT_SKELETONS:
                self._skeletons.popitem(last=False)
        return found

    def content(self, files: tuple[File, ...], extras: CustomHeaders) -> MimeContent:
        text, html = (part.late if part else "" for part in (self._text, self._html))
        return MimeContent(Placeholder(), text, files, html, extras)

    def fill(self, person: Person, para: Values, own: Values | None) -> tuple[bytes, ...]:
        """Subject, text and HTML for one recipient, finished. Raises RenderError, BadContent."""
        values = self.version.values(person, para, own)
        return (
            self._subject or late_subject(self.version.subject.text(values)),
            self._text.fill(values) if self._text else b"",
            self._html.fill(values) if self._html else b"",
        )


class _Part:
    """A text or an HTML."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._encoder = encoder(renderer.texts)
        self._fixed = self._encoder.encode(renderer.pieces({})) if renderer.fixed else b""
        self.late = Placeholder(self._encoder.name)

    def fill(self, values: Values) -> bytes:
        return self._fixed or self._encoder.encode(self._renderer.pieces(values))


class PrecompiledTemplates:
    """The letters of this worker, the least used given up first."""

    def __init__(self, library: TemplateCache) -> None:
        self._library = library
        self._kept: OrderedDict[tuple[int, int], PrecompiledTemplate] = OrderedDict()

    async def of(self, template_id: int, number: int) -> PrecompiledTemplate:
        """Raises BadContent for a version that is not there."""
        key = (template_id, number)
        if key not in self._kept:
            version = await self._library.version(template_id, number)
            if version is None:
                raise BadContent(Detail("mail_version_gone", number=number, id=template_id))
            self._kept[key] = PrecompiledTemplate(version)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]
