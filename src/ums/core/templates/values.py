"""What a render works with: values, the budget, and how a render fails."""

import math
from typing import Any, Final, Literal

from markupsafe import Markup, escape

from ums.errors import Detail

STEPS: Final = 100_000  # nodes evaluated in one part
OUTPUT: Final = 2 * 1024 * 1024  # octets of one part
LONGEST: Final = 256 * 1024  # characters of a value that a filter makes
BIG: Final = 2**63

Reason = Literal["variable_missing", "template_failed", "template_limit"]


class RenderError(ValueError):
    """A template cannot be rendered for these values. `reason` is one of `ums.errors`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


class Missing:
    """A value that is not there. Only `default` and the tests for it may see one."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def error(self) -> RenderError:
        return RenderError("variable_missing", self.path)


class Frame:
    """One render under way: its values, and what it may still cost."""

    __slots__ = ("locals", "out", "size", "steps", "values")

    def __init__(self, values: dict[str, Any], slots: int) -> None:
        self.values = values
        self.locals: list[Any] = [None] * slots
        self.steps = STEPS
        self.size = 0
        self.out: list[int | str] = []  # numbers of static texts, and rendered values

    def pay(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise RenderError("template_limit", Detail("render_steps", most=f"{STEPS:,}"))

    def grow(self, octets: int) -> None:
        self.size += octets
        if self.size > OUTPUT:
            most = OUTPUT // 1024 // 1024
            raise RenderError("template_limit", Detail("render_size", most=most))


def present(value: Any) -> Any:
    """`value`, if it is there. Raises RenderError."""
    if value.__class__ is Missing:
        raise value.error()
    return value


def failed(detail: str, **values: object) -> RenderError:
    return RenderError("template_failed", Detail(f"render_{detail}", **values))


def show(value: Any) -> str:
    """How a value looks in a text. Raises RenderError for lists and objects."""
    if isinstance(value, str):
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int | float):
        return number(value)
    raise failed("whole")


def number(value: float) -> str:
    if not -BIG < value < BIG and not (isinstance(value, float) and math.isfinite(value)):
        raise failed("large")
    return str(value)


def as_html(text: str) -> str:
    """`text` with the characters that mean something in HTML escaped, unless it is `safe`."""
    return str.__str__(text) if isinstance(text, Markup) else str(escape(text))


def kind(value: Any) -> Detail:
    """What a value is, in the words of JSON."""
    if isinstance(value, bool):
        return Detail("kind_truth")
    if isinstance(value, int | float):
        return Detail("kind_number")
    if isinstance(value, str):
        return Detail("kind_text")
    return Detail("kind_list" if isinstance(value, list) else "kind_object")
