"""Says what replays showed, as text and as JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from martfeast.problems import Problem
from martfeast.published.replays import in_words
from martfeast.replay.compare import Difference
from martfeast.replay.run import MartReplay, Replay


@dataclass(frozen=True)
class ProjectReplay:
    """What the replays of a project's marts showed.

    marts: as replayed, and what else forbids to call it passed. warnings: by mart.
    trusted: by mart, the models that are taken at their word, and why where that is declared.
    release: the number of the release that was replayed. newest: of the one that holds at the end.
    """

    replay: Replay
    marts: list[MartReplay]
    warnings: dict[str, list[Problem]]
    trusted: dict[str, dict[str, str]]
    release: int
    newest: int

    @property
    def has_passed(self) -> bool:
        """Whether no mart knew the future."""
        return all(mart.has_passed for mart in self.marts)

    def report(self) -> str:
        """Return what was shown, as text."""
        width = max(len(mart.mart) for mart in self.marts)
        lines = [f"{'mart':<{width}}  state  cuts  {'rows compared':>13}  {'facts withheld':>14}"]
        for mart in self.marts:
            state = "ok" if mart.has_passed else "FAIL"
            lines.append(
                f"{mart.mart:<{width}}  {state:<5}  {mart.cuts:>4}  {mart.compared:>13,}"
                f"  {mart.withheld:>14,}"
            )
        for mart in self.marts:
            if mart.problem:
                lines += ["", f"{mart.mart}: {mart.problem}."]
            if mart.differences:
                lines += ["", _describe(mart)]
        if any(self.trusted.values()):
            lines += ["", "Taken on trust, since nothing under it says when rows were known:"]
            lines += [f"{name}: {in_words(one)}" for name, one in self.trusted.items() if one]
        listed = [problem for problems in self.warnings.values() for problem in problems]
        if listed:
            lines += ["", "To look at:", *map(str, listed)]
        if self.newest != self.release:
            lines += ["", f"Release {self.newest} was published meanwhile, and is not replayed."]
        lines += ["", f"release {self.release} was replayed", _conclusion(self.marts)]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return what was shown, for ``json.dumps``."""
        return {
            "has_passed": self.has_passed,
            "release": self.release,
            "cuts": [
                {
                    "at": cut.at.isoformat(),
                    "reason": cut.reason,
                    "later_facts": cut.perturbation,
                    "withheld": withheld,
                }
                for cut, withheld in zip(self.replay.cuts, self.replay.withheld, strict=True)
            ],
            "marts": [
                {
                    **asdict(mart),
                    "differences": [_as_json(difference) for difference in mart.differences],
                    "has_passed": mart.has_passed,
                    "warnings": [asdict(problem) for problem in self.warnings[mart.mart]],
                    "trusted": self.trusted[mart.mart],
                }
                for mart in self.marts
            ],
        }


def failure(mart: MartReplay) -> str:
    """Return how a mart knew the future, or why nothing was shown; '' if it passed."""
    if mart.differences:
        first = mart.differences[0]
        late = f", through later facts of {'; '.join(first.late)}" if first.late else ""
        return f"at {_moments(mart)} of {mart.cuts} cuts it knew the future{late}"
    return mart.problem


def _moments(mart: MartReplay) -> int:
    return len({difference.cut.at for difference in mart.differences})


def _describe(mart: MartReplay) -> str:
    """Return how a mart knew the future, as text."""
    first = mart.differences[0]
    columns: dict[str, int] = {}
    for difference in mart.differences:
        for name, count in difference.changed.items():
            columns[name] = columns.get(name, 0) + count
    lines = [
        f"{mart.mart} knew the future at {_moments(mart)} of {mart.cuts} cuts:"
        f" {sum(d.missing for d in mart.differences):,} rows that could not be known,"
        f" {sum(d.extra for d in mart.differences):,} that are gone since",
        *(f"  {name} changed in {count:,} rows" for name, count in columns.items()),
        f"  likely through later facts of: {', '.join(first.late) or 'several relations together'}",
        f"  first seen at {first.cut}:",
        *(f"    {example}" for example in first.examples),
    ]
    return "\n".join(lines)


def _as_json(difference: Difference) -> dict[str, Any]:
    return {
        "at": difference.cut.at.isoformat(),
        "reason": difference.cut.reason,
        "later_facts": difference.cut.perturbation,
        "compared": difference.compared,
        "missing": difference.missing,
        "extra": difference.extra,
        "changed": difference.changed,
        "examples": difference.examples,
        "late": difference.late,
    }


def _conclusion(marts: list[MartReplay]) -> str:
    failed = [mart.mart for mart in marts if not mart.has_passed]
    if failed:
        return f"failed: {', '.join(failed)}"
    compared = sum(mart.compared for mart in marts)
    return f"passed: {len(marts)} marts never knew the future in {compared:,} rows compared"
