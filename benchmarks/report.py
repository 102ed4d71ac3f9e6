"""Budgets beside what was measured."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Budget:
    """One line: what was measured, the limit, both in `unit`. `at_least` where more is better."""

    name: str
    measured: float
    limit: float
    unit: str
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the budget is kept."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def line(self) -> str:
        """For people."""
        sign = "≥" if self.at_least else "≤"
        verdict = "met" if self.met else "MISSED"
        return f"{self.name:<58}{self.measured:>10.2f}  {sign} {self.limit:<8g}{self.unit:<12}{verdict:<8}{self.note}"


@dataclass(slots=True)
class Report:
    """What is printed as it comes and repeated as a table at the end."""

    budgets: list[Budget] = field(default_factory=list)

    def say(self, text: str) -> None:
        """A line of progress or of figures."""
        print(text, flush=True)

    def add(self, budget: Budget) -> None:
        """A budget that was measured."""
        self.budgets.append(budget)
        self.say(budget.line())

    def table(self) -> str:
        """All budgets."""
        return "\n".join(budget.line() for budget in self.budgets)
