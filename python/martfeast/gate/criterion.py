"""What a criterion is, which question it answers, and how a mart stands on it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from martfeast.declaration.declared import Mart
from martfeast.gate.evidence import Evidence
from martfeast.places import Place
from martfeast.published.replays import ReplayRecord

GOOD_ENOUGH = "Is the data good enough for feature engineering?"
FINDABLE = "Can people find it?"
BOUNDARY = "Where is the boundary between data and ML engineering?"
TRUTH = "Does it represent ground truth?"
HISTORY = "Do feature history, versions and sharing work?"

PASS, FAIL, WARN, WAIVED = "pass", "fail", "warn", "waived"


@dataclass(frozen=True)
class Finding:
    """Why a mart does not meet a criterion. place: where to put it right."""

    message: str
    fix: str
    place: Place


@dataclass(frozen=True)
class Criterion:
    """One thing a mart must show before it becomes features.

    name: stable, used in settings and waivers. question: what it answers.
    sentence: what must hold. is_fixed: it can be neither lowered nor waived.
    """

    name: str
    question: str
    sentence: str
    check: Callable[[Evidence, Mart], Iterator[Finding]]
    is_fixed: bool = False


@dataclass(frozen=True)
class Judgement:
    """How a mart stands on a criterion.

    state: pass, fail, warn (lowered by the project's settings) or waived.
    findings: why it does not pass. waiver: the reason and the last day of a waiver that holds.
    """

    criterion: Criterion
    state: str
    findings: list[Finding]
    waiver: str = ""


@dataclass(frozen=True)
class MartReadiness:
    """How a mart stands on every criterion, by the criterion's name.

    replay: its last one, if any. noted: what the last dbt run found that does not block.
    """

    mart: Mart
    judgements: dict[str, Judgement]
    replay: ReplayRecord | None
    noted: list[str]

    @property
    def warnings(self) -> list[str]:
        """What its last replay found to look at."""
        return self.replay.warnings if self.replay else []

    @property
    def is_ready(self) -> bool:
        """Whether nothing keeps the mart from being applied."""
        return all(judgement.state != FAIL for judgement in self.judgements.values())


def some(items: list[str]) -> str:
    """Join up to three items; say how many more there are."""
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return "; ".join(items[:3]) + more
