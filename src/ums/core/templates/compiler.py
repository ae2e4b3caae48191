"""From a template's sources to what is stored and run. Runs in the child process."""

import re
from typing import Final

from msgspec import Struct

from ums.core.templates.analysis import Needs
from ums.core.templates.parser import Problem, Unparsable, parse
from ums.core.templates.placeholders import Hidden
from ums.core.templates.syntax_tree import Compiled, Program
from ums.errors import Detail
from ums.mail.mime import html_to_text
from ums.mail.mime.builder import BadContent, check_subject

MOST: Final = 256 * 1024  # octets of one source
_STYLE = re.compile(r"<style\b", re.IGNORECASE)
_INLINE = re.compile(
    r"<mj-style\b[^>]*\binline\s*=\s*[\"']inline[\"'][^>]*>(.*?)</mj-style\s*>",
    re.IGNORECASE | re.DOTALL,
)
_POSITION = re.compile(r"at position (\d+):")


class Sources(Struct, frozen=True, omit_defaults=True):
    """What the author of a template wrote. MJML stands in place of HTML."""

    subject: str
    html: str | None = None
    text: str | None = None
    mjml: str | None = None


class Variables(Struct, frozen=True):
    """What a template names, for whoever looks at it."""

    names: list[str]
    required: list[list[str]]


class Built(Struct, frozen=True, tag="built"):
    compiled: Compiled


class Flawed(Struct, frozen=True, tag="flawed"):
    problems: list[Problem]


Result = Built | Flawed


def build(sources: Sources) -> Result:
    """Compile `sources`, or tell all that is found to be wrong with them."""
    made: dict[str, Program] = {}
    problems: list[Problem] = []
    html = None
    for part in ("subject", "html", "text"):
        derived = part == "text" and sources.text is None
        if derived and "html" not in made:
            continue  # there is none, or it is told of already
        try:
            source = html_of(sources) if part == "html" else _source(sources, part, html)
            html = source if part == "html" else html
            if source is not None:
                made[part] = parse(source, part)
            if part == "subject":
                check_subject("".join(made[part].texts) or "-")  # as far as it is the same for all
        except BadContent as error:
            problems.append(Problem.of(part, 1, error.detail))
        except Unparsable as error:
            problems += [_underivable(error)] if derived else error.problems
    return Flawed(problems) if problems else Built(_compiled(made))


def _compiled(made: dict[str, Program]) -> Compiled:
    needs = Needs()
    for program in made.values():
        needs.add(program)
    return Compiled(
        subject=made["subject"],
        html=made.get("html"),
        text=made.get("text"),
        names=sorted(needs.names),
        required=needs.required(),
    )


def _source(sources: Sources, part: str, html: str | None) -> str | None:
    if part == "subject":
        return sources.subject
    if sources.text is not None or html is None:
        return sources.text
    return Hidden(html, "text").as_plain(html_to_text.html_to_text)


def _underivable(error: Unparsable) -> Problem:
    why = error.problems[0].detail
    return Problem.of("text", 1, Detail("template_no_text", why=why))


def html_of(sources: Sources) -> str | None:
    """The HTML that is sent, tags and all. Raises Unparsable."""
    if sources.mjml is not None:
        parse(sources.mjml, "mjml")  # what is wrong is told with the lines of what was written
        return _of_mjml(sources.mjml)
    if sources.html is None or not _STYLE.search(sources.html):
        return sources.html
    parse(sources.html, "html")
    hidden = Hidden(sources.html, "html")
    return hidden.restore(_tidy(_inlined(hidden.for_parsers()), sources.html))


def _inlined(html: str, css: str | None = None) -> str:
    """`html` with the rules of its styles, or of `css` alone, in its elements; what cannot stand
    there (media queries, :hover) stays a style."""
    from css_inline import CSSInliner, InlineError  # noqa: PLC0415  (only the child has to load it)

    own = css is None
    inliner = CSSInliner(
        inline_style_tags=own,
        keep_style_tags=True,
        remove_inlined_selectors=own,
        keep_link_tags=True,
        load_remote_stylesheets=False,
        extra_css=css,
    )
    try:
        return inliner.inline(html)
    except InlineError as error:
        raise Unparsable(
            [Problem.of("html", 1, Detail("template_css", told=str(error)[:150]))]
        ) from None


def _of_mjml(source: str) -> str:
    from mjml import mjml2html  # noqa: PLC0415

    hidden = Hidden(source, "mjml")
    given = hidden.for_parsers()
    css = "\n".join(_INLINE.findall(given))
    try:
        made = mjml2html(_INLINE.sub("", given), fonts={})
    except ValueError as error:
        detail = Detail("template_mjml", told=str(error)[:200])
        raise Unparsable([Problem.of("mjml", _line(error, given), detail)]) from None
    made = _tidy(_inlined(made, css), source) if css else made
    return hidden.restore(made)


def _line(error: ValueError, given: str) -> int:
    found = _POSITION.search(str(error))
    return given.count("\n", 0, int(found[1])) + 1 if found else 1


def _tidy(html: str, source: str) -> str:
    """A `{% for %}` between `<table>` and its first row stays outside of the `<tbody>` that the
    parser adds; it belongs inside, where its end is."""
    if "<tbody" in source.lower():
        return html
    return re.sub(r"(<table\b[^>]*>\s*)((?:<!--ums[x]*q\d+q-->\s*)+)(<tbody>)", r"\1\3\2", html)


__all__ = ["MOST", "Built", "Flawed", "Result", "Sources", "build", "html_of"]
