"""Finds what a replay takes as true: when rows were known, where nothing under them shows it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from martfeast.problems import Problem
from martfeast.replay.lineage import Lineage, Relation
from martfeast.replay.plan import Plan


@dataclass
class Vouching:
    """Who says when the rows under a mart were known.

    trusted: the models whose event_time is taken as true, since nothing under them has one.
    unknown: pairs of a relation and one that it reads, of which nobody says it.
    """

    trusted: dict[str, Relation] = field(default_factory=dict)
    unknown: list[tuple[Relation, Relation]] = field(default_factory=list)


def who_vouches(lineage: Lineage, mart: Relation) -> Vouching:
    """Go up from a mart until something says when its rows were known.

    Sources, seeds and snapshots do where they have an event_time, and what is declared timeless. So
    does a model under which nothing has one; one that is built on facts with an event_time is put
    to the test by these, and vouches for nothing else that it reads.
    """
    found = Vouching()
    _follow(lineage, mart, found, set())
    return found


def _follow(lineage: Lineage, relation: Relation, found: Vouching, seen: set[str]) -> None:
    for parent_id in relation.parents:
        parent = lineage.relations[parent_id]
        if parent_id in seen or parent.declared.timeless:
            continue
        seen.add(parent_id)
        above = [lineage.relations[name] for name in lineage.above(parent_id) - {parent_id}]
        if parent.event_time and not any(one.event_time for one in above):
            if parent.kind == "model":
                found.trusted[parent_id] = parent
        elif parent.kind == "snapshot" or not parent.parents:
            found.unknown.append((relation, parent))
        else:
            _follow(lineage, parent, found, seen)


def distrusted(
    lineage: Lineage, plans: Mapping[str, Plan], trusted: Mapping[str, Relation]
) -> Iterator[Problem]:
    """Yield why models cannot be taken at their word, for all that does not say why it can.

    A row that is made of one row knows what that row knew, and its moment may be right. One that is
    made of several knew them all, and nothing shows that its moment is not before the last of them.

    Args:
        lineage: of a mart.
        plans: of the models' SQL, by unique_id.
        trusted: the models, by unique_id.

    """
    for unique_id, relation in trusted.items():
        if relation.declared.trusted:
            continue
        for one, operations in _operations(lineage, plans, unique_id):
            through = "" if one is relation else f", through {one.name} ({one.file}),"
            yield Problem(
                relation.name,
                "not-to-be-trusted",
                f"{relation.name} says in {relation.event_time} when its rows were known, nothing"
                f" under it does, and it{through} {' and '.join(operations)}, so a row may know"
                " what came after it.",
                "Set event_time on the source or seed under it, so that it is replayed; take a"
                " snapshot; say of what was always known that it is timeless; or say why it is"
                " right, under its config: meta: {martfeast: {trusted: <why>}}.",
                relation.file,
            )


def _operations(
    lineage: Lineage, plans: Mapping[str, Plan], unique_id: str
) -> Iterator[tuple[Relation, list[str]]]:
    """Yield the models that make a row of several, of a model and those under it."""
    for name in sorted(lineage.above(unique_id)):
        relation = lineage.relations[name]
        if relation.made_by is None or not _has_facts(lineage, name):
            continue
        facts = {parent for parent in relation.parents if _has_facts(lineage, parent)}
        operations = plans[name].operations(facts) if name in plans else []
        if operations:
            yield relation, operations


def _has_facts(lineage: Lineage, unique_id: str) -> bool:
    """Tell whether rows became known at some time: not if all under them is timeless."""
    relation = lineage.relations[unique_id]
    if relation.declared.timeless:
        return False
    if relation.kind == "snapshot" or not relation.parents:
        return True
    return any(_has_facts(lineage, parent) for parent in relation.parents)
