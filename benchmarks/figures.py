"""What a measurement hands over: tables for people, figures for the comparison with the targets."""

from dataclasses import dataclass, field


@dataclass
class Section:
    """One measurement: what was done, its table, and remarks."""

    title: str
    about: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        lines = [f"## {self.title}", "", self.about, ""]
        lines += [_row(self.columns), _row(["---"] * len(self.columns))]
        lines += [_row(row) for row in self.rows]
        return [*lines, "", *(f"- {note}" for note in self.notes), *([""] if self.notes else [])]


@dataclass
class Goal:
    """A figure to reach."""

    work: str
    target: str
    figure: str
    reached: bool | None  # None: not measured in this run

    def row(self) -> list[str]:
        return [self.work, self.target, self.figure, _VERDICT[self.reached]]


_VERDICT = {True: "reached", False: "**not reached**", None: "not measured"}


@dataclass
class Result:
    sections: list[Section] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)


def number(value: float) -> str:
    """Three figures that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(value: float) -> str:
    return f"{value:.2f}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
