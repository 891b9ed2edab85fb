"""Finds what a replay takes as true: when rows were known, where nothing under them shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
) -> dict[str, str]:
    """Return why models cannot be taken at their word, for all that does not say why it can.

    A row that is made of one row knows what that row knew, and its moment may be right. One that is
    made of several knew them all, and nothing shows that its moment is not before the last of them.

    Args:
        lineage: of marts.
        plans: of the models' SQL, by unique_id.
        trusted: the models, by unique_id.

    Returns:
        Sentences with what to do, by unique_id; of the other models none.

    """
    with_facts = _with_facts(lineage)
    found: dict[str, list[str]] = {}
    for unique_id, relation in trusted.items():
        if relation.declared.trusted:
            continue
        for name in sorted(lineage.above(unique_id) & with_facts & plans.keys()):
            one = lineage.relations[name]
            if operations := plans[name].operations(with_facts.intersection(one.parents)):
                through = "" if one is relation else f", through {one.name} ({one.file}),"
                found.setdefault(unique_id, []).append(
                    f"{relation.name} says in {relation.event_time} when its rows were known,"
                    f" nothing under it does, and it{through} {' and '.join(operations)}, so a row"
                    " may know what came after it. Set event_time on the source or seed under it,"
                    " so that it is replayed; take a snapshot; say of what was always known that"
                    " it is timeless; or say why it is right, under its config:"
                    " meta: {martfeast: {trusted: <why>}}."
                )
    return {name: " ".join(sentences) for name, sentences in found.items()}


def _with_facts(lineage: Lineage) -> set[str]:
    """Return the relations whose rows became known at some time: not all under them is timeless."""
    found: set[str] = set()
    for name, relation in lineage.relations.items():  # parents come first
        is_first = relation.kind == "snapshot" or not relation.parents
        if not relation.declared.timeless and (is_first or not found.isdisjoint(relation.parents)):
            found.add(name)
    return found
