"""A template made ready for a sender type: what is the same for everyone is encoded once."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from ums.core.templates.cache import Person, TemplateCache, Version
from ums.core.templates.renderer import Renderer
from ums.core.transports.protocol import MessageTemplate, Transport
from ums.errors import Detail
from ums.mail.custom_headers import CustomHeaders
from ums.mail.mime.builder import (
    BadContent,
    File,
    MimeContent,
    Placeholder,
)

KEPT: Final = 60
KEPT_SKELETONS: Final = 20
Build = Callable[[MimeContent], MessageTemplate[Any]]
Values = dict[str, Any]


class PrecompiledTemplate:
    """A version of a template whose static texts are encoded already as the transport does."""

    def __init__(self, version: Version, transport: Transport[Any]) -> None:
        self.version = version
        self._transport = transport
        self._text = _Part(version.text, transport) if version.text else None
        self._html = _Part(version.html, transport) if version.html else None
        self._subject = b""  # where it has no variables
        if version.subject.fixed:
            self._subject = transport.encode_subject(version.subject.text({}))
        self._skeletons: OrderedDict[object, MessageTemplate[Any]] = OrderedDict()

    def skeleton(self, key: object, extras: CustomHeaders, build: Build) -> MessageTemplate[Any]:
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
            self._subject or self._transport.encode_subject(self.version.subject.text(values)),
            self._text.fill(values) if self._text else b"",
            self._html.fill(values) if self._html else b"",
        )


class _Part:
    """A text or an HTML."""

    def __init__(self, renderer: Renderer, transport: Transport[Any]) -> None:
        self._renderer = renderer
        self._encoder = transport.text_encoder(renderer.texts)
        self._fixed = self._encoder.encode(renderer.pieces({})) if renderer.fixed else b""
        self.late = Placeholder(self._encoder.name)

    def fill(self, values: Values) -> bytes:
        return self._fixed or self._encoder.encode(self._renderer.pieces(values))


class PrecompiledTemplates:
    """The letters of this worker, the least used given up first."""

    def __init__(self, library: TemplateCache) -> None:
        self._library = library
        self._kept: OrderedDict[tuple[int, int, str], PrecompiledTemplate] = OrderedDict()

    async def of(
        self, template_id: int, number: int, transport: Transport[Any]
    ) -> PrecompiledTemplate:
        """Raises BadContent for a version that is not there."""
        key = (template_id, number, transport.name)
        if key not in self._kept:
            version = await self._library.version(template_id, number)
            if version is None:
                raise BadContent(Detail("mail_version_gone", number=number, id=template_id))
            self._kept[key] = PrecompiledTemplate(version, transport)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]
