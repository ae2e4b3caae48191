"""What the tests of the language share: compile and render in this process."""

from typing import Any

from ums.core.templates.cache import Person, Version, made
from ums.core.templates.compiler import Built, Sources, build
from ums.core.templates.parser import Unparsable

NOBODY = Person("to@x.test")


def version(
    subject: str = "s",
    html: str | None = None,
    text: str | None = None,
    mjml: str | None = None,
    defaults: dict[str, Any] | None = None,
) -> Version:
    """Compiled here and now; in earnest it is the child's work."""
    result = build(Sources(subject, html, text, mjml))
    if not isinstance(result, Built):
        raise Unparsable(result.problems)
    return made(1, 1, subject, result.compiled, defaults or {})


def rendered(source: str, person: Person = NOBODY, /, **values: Any) -> str:
    """A text template with these values."""
    made = version(text=source)
    assert made.text is not None
    return made.text.text(made.values(person, values))


def html(source: str, person: Person = NOBODY, /, **values: Any) -> str:
    made = version(html=source, text="-")
    assert made.html is not None
    return made.html.text(made.values(person, values))


def refused(source: str) -> str:
    """What is wrong with a source, with its lines."""
    try:
        version(text=source)
    except Unparsable as error:
        return "; ".join(f"{p.line}: {p.detail}" for p in error.problems)
    raise AssertionError(f"taken: {source[:100]}")
