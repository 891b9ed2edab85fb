"""Which batches a backfill makes, of which models."""

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from martfeast.declaration.declared import MartTime
from martfeast.declaration.mart_time import read_mart_time, time_keys_of
from martfeast.declaration.project import Project
from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Model
from martfeast.problems import ProblemLog, did_you_mean, refusal

RANGED = ("microbatch", "replace_range")
Range = tuple[datetime, datetime]


@dataclass(frozen=True)
class BackfillPlan:
    """What a backfill is to do.

    asked: the names of the models that it was asked for. batch_size: hour, day, month or year.
    batches: ranges in UTC, from the first moment to the one before the last, in order.
    by_batch: the models that are made batch by batch: those, and what depends on them through
    nothing but such models. afterwards: all others that depend on them.
    """

    asked: list[str]
    batch_size: str
    batches: list[Range]
    by_batch: list[Model]
    afterwards: list[Model]

    @property
    def tested(self) -> list[str]:
        """The names of all models that are made."""
        return names_of([*self.by_batch, *self.afterwards])


def names_of(models: list[Model]) -> list[str]:
    """Return the names by which dbt selects models."""
    return [model.name for model in models]


def is_ranged(model: Model) -> bool:
    """Tell whether a model is made by ranges of event time."""
    config = model.config
    return config.materialized == "incremental" and config.incremental_strategy in RANGED


def time_of(project: Project, model: Model) -> MartTime:
    """Return a ranged model's start and batches: a mart's own words, or dbt's."""
    marts = {mart.unique_id: mart for mart in project.declaration.own_marts.values()}
    if model.unique_id in marts:
        return marts[model.unique_id].time
    place = project.artifacts.place(model)
    return read_mart_time(model, time_keys_of(model), place, model.alias, ProblemLog())


def batch_size_of(model: Model, time: MartTime) -> str:
    """Return the size of a ranged model's batches: a mart's own word, dbt's, or else a day."""
    return time.batch.size if time.batch else (model.config.batch_size or "day").lower()


def plan_backfill(
    project: Project, names: Sequence[str], start: datetime, end: datetime, now: datetime
) -> BackfillPlan:
    """Return what a backfill of models is to do.

    Args:
        project: the dbt project, parsed as it is now.
        names: the models' aliases.
        start: the first moment to make anew, UTC; so is the rest of its batch.
        end: the first moment that is not, UTC; but the rest of the batch that it is in.
        now: UTC.

    Raises:
        DeclarationError: there is no such model, it is not made by ranges, models have batches of
            different sizes, or the range is reversed, before a mart's start or in the future.

    """
    names = list(dict.fromkeys(names))
    models = [_find(project.artifacts.graph, name) for name in names]
    sizes = dict[str, str]()
    for name, model in zip(names, models, strict=True):
        time = time_of(project, model)
        sizes[name] = batch_size_of(model, time)
        _require_range(name, start, end, time.start, now)
    _require_one_size(sizes)
    [size] = set(sizes.values())
    graph = project.artifacts.graph
    by_batch, afterwards = _downstream(graph, [model.unique_id for model in models])
    return BackfillPlan(
        names_of(models),
        size,
        list(batches(start, end, size)),
        [graph.models[one] for one in by_batch],
        [graph.models[one] for one in afterwards],
    )


def _require_one_size(sizes: dict[str, str]) -> None:
    """Insist that models, by name, have batches of one size."""
    if len(set(sizes.values())) > 1:
        said = ", ".join(f"{name} by the {size}" for name, size in sizes.items())
        raise refusal(
            " ".join(sizes),
            "batch-sizes-differ",
            f"They are made in batches of different sizes: {said}.",
            "Run a backfill for those of each size.",
        )


def _find(graph: Graph, name: str) -> Model:
    models = [one for one in graph.models.values() if one.resource_type == "model"]
    named = [one for one in models if name in (one.alias, one.name)]
    ranged = sorted(one.alias for one in models if is_ranged(one))
    if not named:
        advice = did_you_mean(name, ranged, f"Made by ranges are: {', '.join(ranged) or 'none'}.")
        raise refusal(name, "model-unknown", "There is no such model.", advice)
    if not is_ranged(named[0]):
        raise refusal(
            name,
            "not-made-by-ranges",
            f"It is a {named[0].config.materialized} model, which dbt makes whole.",
            f"Run `dbt build --select {name}+`; or make it by ranges of event time: docs/time.md.",
        )
    return named[0]


def _require_range(
    name: str, start: datetime, end: datetime, first: datetime | None, now: datetime
) -> None:
    if start >= end:
        raise refusal(
            name,
            "range-reversed",
            f"{start:%Y-%m-%d %H:%M} is not before {end:%Y-%m-%d %H:%M}.",
            "Give --from the first moment and --to the moment after the last, in UTC.",
        )
    if first is not None and start < first:
        raise refusal(
            name,
            "range-before-start",
            f"{start:%Y-%m-%d %H:%M} is before its start, {first:%Y-%m-%d %H:%M}.",
            f"Begin there: --from {first:%Y-%m-%dT%H:%M:%S}.",
        )
    if end > now + timedelta(days=1):
        raise refusal(
            name,
            "range-in-the-future",
            f"{end:%Y-%m-%d %H:%M} is in the future, and it is {now:%Y-%m-%d %H:%M} UTC.",
            "Nothing can be known of it. End at midnight of tomorrow at the latest.",
        )


def _downstream(graph: Graph, unique_ids: list[str]) -> tuple[list[str], list[str]]:
    """Return ranged models and the ranged ones right after them, and all else that depends."""
    asked = set(unique_ids)
    below = {one for one in graph.models if asked & {one, *graph.upstream(one)}}
    by_batch, afterwards = list[str](), list[str]()
    for one in sorted(below, key=lambda name: (len(graph.upstream(name)), name not in asked)):
        between = set(graph.relations_read(one)) & below
        follows = is_ranged(graph.models[one]) and (one in asked or between <= set(by_batch))
        (by_batch if follows else afterwards).append(one)
    return by_batch, [one for one in afterwards if not graph.models[one].is_ephemeral]


def batches(start: datetime, end: datetime, size: str) -> Iterator[Range]:
    """Yield the batches of a size that a range touches, in order."""
    moment = floor(start, size)
    while moment < end:
        after = _next(moment, size)
        yield moment, after
        moment = after


def floor(moment: datetime, size: str) -> datetime:
    """Return the first moment of the batch that a moment is in."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if size == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    if size == "day":
        return day
    return day.replace(day=1) if size == "month" else day.replace(month=1, day=1)


def _next(moment: datetime, size: str) -> datetime:
    if size == "month":
        return moment + timedelta(days=calendar.monthrange(moment.year, moment.month)[1])
    if size == "year":
        return moment.replace(year=moment.year + 1)
    return moment + timedelta(**{f"{size}s": 1})
