"""The parent's side of `templates.child`: hand over the sources, outlive what comes of it."""

from functools import partial
from typing import Final

import msgspec
from msgspec import structs

from ums.bounds import is_storable
from ums.core.common.field_errors import Check, all_of
from ums.core.context.app_context import AppContext
from ums.core.isolation import child_process
from ums.core.isolation.process_limits import Limits
from ums.core.templates.cache import TemplateCache
from ums.core.templates.compile_worker import Task
from ums.core.templates.compiler import MOST, Built, Flawed, Result, Sources
from ums.core.templates.parser import Problem
from ums.core.templates.syntax_tree import Compiled
from ums.errors import Detail, Invalid, UmsError

PATIENCE: Final = 60.0  # seconds, on a machine that has other things to do
_MEGABYTE: Final = 1024 * 1024
_CHILD: Final = "ums.core.templates.compile_worker"
_results = msgspec.json.Decoder(Result)
USUAL: Final = Limits()


async def compile_sources(system: AppContext, sources: Sources, limits: Limits = USUAL) -> Compiled:
    """The compiled template. Raises Invalid, naming the part, the line and what is wrong."""
    result = await _compiled(system, sources, limits)
    if isinstance(result, Built):
        return result.compiled
    raise _told(result.problems[0])


def _told(problem: Problem) -> Invalid:
    return Invalid("template_source", field=problem.part, line=problem.line, detail=problem.detail)


async def validate(system: AppContext, sources: Sources) -> list[Problem]:
    """All that is found to be wrong with `sources`, with lines; empty where nothing is.

    Raises Invalid where compiling takes too much, or a source is missing or too large.
    """
    result = await _compiled(system, sources, USUAL)
    return result.problems if isinstance(result, Flawed) else []


async def errors_of(system: AppContext, sources: Sources) -> list[UmsError]:
    """All that is wrong with `sources`, each with its part and line."""
    found = all_of([lambda: _check_parts(sources), *_checks_of(sources)])
    subject = all_of([lambda: _check_subject(sources.subject)])
    if found:
        return [*subject, *found]
    # What else is wrong is told although the subject is.
    whole = structs.replace(sources, subject="-") if subject else sources
    try:
        return [*subject, *map(_told, await validate(system, whole))]
    except Invalid as error:
        return [*subject, error]


def check_sources(sources: Sources) -> None:
    """Raises Invalid for what need not be compiled to be refused."""
    _check_parts(sources)
    _check_subject(sources.subject)
    for check in _checks_of(sources):
        check()


def _check_parts(sources: Sources) -> None:
    if sources.html is not None and sources.mjml is not None:
        raise Invalid("template_twice")
    if sources.html is None and sources.mjml is None and sources.text is None:
        raise Invalid("template_empty")


def _check_subject(subject: str) -> None:
    if not subject.strip():
        raise Invalid("bad_subject", detail=Detail("empty"))
    _check(subject, "subject", 2000)


def _checks_of(sources: Sources) -> list[Check]:
    """A check for each source but the subject."""
    parts = (("html", sources.html), ("text", sources.text), ("mjml", sources.mjml))
    return [partial(_check, source, part, MOST) for part, source in parts if source is not None]


def _check(source: str, part: str, most: int) -> None:
    if len(source) > most or len(source.encode("utf-8", "surrogatepass")) > most:
        raise Invalid("template_large", field=part, limit=most)
    if not is_storable(source):
        raise Invalid("control_characters", field=part)
    if part == "subject" and any(char in source for char in "\r\n\u2028\u2029"):
        raise Invalid("control_characters", field=part)


async def _compiled(system: AppContext, sources: Sources, limits: Limits) -> Result:
    check_sources(sources)
    async with system.shared(TemplateCache).turns:  # every child may take a whole core
        task = msgspec.json.encode(Task(sources, limits))
        output, code = await child_process.answer(_CHILD, task, PATIENCE)
    try:
        return _results.decode(output)
    except msgspec.DecodeError:
        raise _ended(code, limits) from None


def _ended(code: int, limits: Limits) -> Invalid:
    """Why a child that gave no answer ended, as far as its end tells."""
    if code in (-9, -24):  # SIGKILL, SIGXCPU
        return Invalid("template_costly", detail=Detail("template_seconds", most=limits.seconds))
    return Invalid(
        "template_costly", detail=Detail("template_memory", most=limits.memory // _MEGABYTE)
    )
