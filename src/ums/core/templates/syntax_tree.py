"""What a compiled template is made of: plain data, stored as JSON, that `evaluate` runs.

Expressions give a value (text, number, bool, list, object); statements give output. A name is
flat: `city` is a variable, `user.city` the recipient's own attribute.
"""

from msgspec import Struct

Scalar = str | int | float | bool


class Const(Struct, frozen=True, array_like=True, tag="c"):
    value: Scalar


class Var(Struct, frozen=True, array_like=True, tag="v"):
    """A variable of the template."""

    name: str


class Local(Struct, frozen=True, array_like=True, tag="l"):
    """What a loop put into `slot`; `name` is for messages."""

    slot: int
    name: str


class LoopField(Struct, frozen=True, array_like=True, tag="p"):
    """`loop.index` and its like, of the loop that keeps its place in `slot`."""

    slot: int
    field: str


class Listing(Struct, frozen=True, array_like=True, tag="a"):
    """A list that is written out: `["a", "b"]`."""

    parts: list["Expr"]


class Get(Struct, frozen=True, array_like=True, tag="g"):
    """A member of an object or an element of a list."""

    of: "Expr"
    key: str | int


class Apply(Struct, frozen=True, array_like=True, tag="f"):
    """A filter with all its arguments, in their order."""

    name: str
    of: "Expr"
    arguments: list["Expr"]


class Test(Struct, frozen=True, array_like=True, tag="t"):
    name: str
    of: "Expr"


class Not(Struct, frozen=True, array_like=True, tag="n"):
    of: "Expr"


class Junction(Struct, frozen=True, array_like=True, tag="j"):
    """`and` (all) or `or` (any) of the parts; its value is that of the part that decides."""

    every: bool
    parts: list["Expr"]


class Compare(Struct, frozen=True, array_like=True, tag="m"):
    """`a < b <= c`: each operator with what stands to its right."""

    of: "Expr"
    operators: list[str]
    others: list["Expr"]


class Choose(Struct, frozen=True, array_like=True, tag="i"):
    """`yes if test else no`."""

    test: "Expr"
    yes: "Expr"
    no: "Expr"


Expr = (
    Const
    | Var
    | Local
    | LoopField
    | Listing
    | Get
    | Apply
    | Test
    | Not
    | Junction
    | Compare
    | Choose
)


class Static(Struct, frozen=True, array_like=True, tag="s"):
    """The text of this number."""

    text: int


class Out(Struct, frozen=True, array_like=True, tag="o"):
    of: Expr


class If(Struct, frozen=True, array_like=True, tag="I"):
    """The first body whose test holds, else `otherwise`."""

    tests: list[Expr]
    bodies: list["Body"]
    otherwise: "Body"


class For(Struct, frozen=True, array_like=True, tag="F"):
    """The body for each element of a list; `otherwise` where there is none.

    `targets` are the slots an element goes to (several take a list apart), `place` the slot of
    the loop's own place.
    """

    targets: list[int]
    place: int
    of: Expr
    body: "Body"
    otherwise: "Body"


Statement = Static | Out | If | For


class Body(Struct, frozen=True, array_like=True):
    """Statements, and how many nodes they hold less those of inner bodies: their price."""

    price: int
    statements: list[Statement]


class Program(Struct, frozen=True):
    """One compiled part: a subject, a text or an HTML."""

    texts: list[str]
    body: Body
    slots: int = 0


class Compiled(Struct, frozen=True, omit_defaults=True):
    """A version of a template, ready to be run."""

    subject: Program
    html: Program | None = None
    text: Program | None = None
    names: list[str] = []  # every variable, flat
    required: list[list[str]] = []  # paths that have to be there: ["order", "number"]
