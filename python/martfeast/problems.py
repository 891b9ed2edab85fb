"""What is wrong with a declaration, and the report that says so."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from martfeast.causes import Cause
from martfeast.places import Place


@dataclass(frozen=True)
class Problem:
    """One thing to put right before anything can be applied.

    subject: the mart or exposure, and the column or key, joined by dots.
    rule: a stable name in kebab-case. message: what is wrong. fix: what to do next.
    file, line: where it is written, relative to the dbt project, as far as that is known.
    cause: who is to act.
    """

    subject: str
    rule: str
    message: str
    fix: str
    file: str | None = None
    line: int | None = None
    cause: Cause = Cause.USAGE

    def __str__(self) -> str:
        place = self.file or ""
        if self.file and self.line:
            place += f":{self.line}"
        heading = "  ".join(part for part in (place, self.subject, f"[{self.rule}]") if part)
        return f"  {heading}\n    {self.message} {self.fix}"


class DeclarationError(Exception):
    """The declaration cannot be used; ``problems`` has every reason and ``str()`` is the report."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        report = [f"martfeast: {count}; nothing was changed."]
        super().__init__("\n".join(report + [str(problem) for problem in self.problems]))

    @property
    def cause(self) -> Cause:
        """The cause of all: what is to be mended before anything else, and a retry only if all."""
        causes = [problem.cause for problem in self.problems]
        return Cause.USAGE if Cause.USAGE in causes else min(causes)

    def __reduce__(self) -> tuple[type["DeclarationError"], tuple[list[Problem]]]:
        """Say how another process, to which it is raised, makes it again."""
        return DeclarationError, (self.problems,)


def refusal(
    subject: str,
    rule: str,
    message: str,
    fix: str,
    file: str | None = None,
    cause: Cause = Cause.USAGE,
) -> DeclarationError:
    """Return the error for one problem, to be raised."""
    return DeclarationError([Problem(subject, rule, message, fix, file, cause=cause)])


class ProblemLog:
    """Collects problems, each with the file and line it comes from."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self.problems = list(problems)

    def add(self, place: Place | None, subject: str, rule: str, message: str, fix: str) -> None:
        """Note a problem, at a place if it has one."""
        file, line = (place.file, place.line) if place else (None, None)
        self.problems.append(Problem(subject, rule, message, fix, file, line))


def did_you_mean(name: object, choices: Iterable[str], otherwise: str) -> str:
    """Return "Did you mean 'x'?" for the choice closest to the name, or else the other advice."""
    by_lower_case = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(str(name).lower(), by_lower_case, n=1)
    return f"Did you mean '{by_lower_case[close[0]]}'?" if close else otherwise
