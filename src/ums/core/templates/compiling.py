"""The parent's side of `templates.child`: hand over the sources, outlive what comes of it."""

from typing import Final

import msgspec

from ums.core import child
from ums.core.confine import Limits
from ums.core.system import System
from ums.core.templates.build import MOST, Built, Flawed, Result, Sources
from ums.core.templates.child import Task
from ums.core.templates.parse import Problem
from ums.core.templates.syntax import Compiled
from ums.errors import Invalid

PATIENCE: Final = 60.0  # seconds, on a machine that has other things to do
_MEGABYTE: Final = 1024 * 1024
_CHILD: Final = "ums.core.templates.child"
_results = msgspec.json.Decoder(Result)
USUAL: Final = Limits()


async def compile_sources(system: System, sources: Sources, limits: Limits = USUAL) -> Compiled:
    """The compiled template. Raises Invalid, naming the part, the line and what is wrong."""
    result = await _compiled(system, sources, limits)
    if isinstance(result, Built):
        return result.compiled
    first = result.problems[0]
    raise Invalid("template_source", field=first.part, line=first.line, detail=first.detail)


async def validate(system: System, sources: Sources) -> list[Problem]:
    """All that is found to be wrong with `sources`, with lines; empty where nothing is.

    Raises Invalid where compiling takes too much, or a source is missing or too large.
    """
    result = await _compiled(system, sources, USUAL)
    return result.problems if isinstance(result, Flawed) else []


def check_sources(sources: Sources) -> None:
    """Raises Invalid for what need not be compiled to be refused."""
    if sources.html is not None and sources.mjml is not None:
        raise Invalid("template_twice")
    if sources.html is None and sources.mjml is None and sources.text is None:
        raise Invalid("template_empty")
    if not sources.subject.strip():
        raise Invalid("bad_subject", detail="it is empty")
    for part in ("subject", "html", "text", "mjml"):
        source: str | None = getattr(sources, part)
        if source is not None:
            _check(source, part, 2000 if part == "subject" else MOST)


def _check(source: str, part: str, most: int) -> None:
    if len(source.encode("utf-8", "surrogatepass")) > most:
        raise Invalid("template_large", field=part, limit=most)
    if "\x00" in source or any("\ud800" <= char <= "\udfff" for char in source):
        raise Invalid("control_characters", field=part)
    if part == "subject" and any(char in source for char in "\r\n\u2028\u2029"):
        raise Invalid("control_characters", field=part)


async def _compiled(system: System, sources: Sources, limits: Limits) -> Result:
    check_sources(sources)
    async with system.templates.turns:  # every child may take a whole core
        task = msgspec.json.encode(Task(sources, limits))
        output, code = await child.answer(_CHILD, task, PATIENCE)
    try:
        return _results.decode(output)
    except msgspec.DecodeError:
        raise _ended(code, limits) from None


def _ended(code: int, limits: Limits) -> Invalid:
    """Why a child that gave no answer ended, as far as its end tells."""
    if code in (-9, -24):  # SIGKILL, SIGXCPU
        return Invalid("template_costly", detail=f"{limits.seconds} seconds")
    return Invalid("template_costly", detail=f"{limits.memory // _MEGABYTE} MB of memory")
