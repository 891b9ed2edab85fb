"""Criteria of ownership: can people find it, and who answers for it."""

from collections.abc import Iterator

from martfeast.declaration.declared import Mart
from martfeast.gate.criterion import BOUNDARY, FINDABLE, Criterion, Finding, some
from martfeast.gate.evidence import Evidence


def _contract_enforced(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    if not evidence.model(mart).config.is_contract_enforced:
        yield Finding(
            "Feast's types come from the contract, and it is not enforced.",
            "Set contract: {enforced: true} under config.",
            mart.place.at("config"),
        )


def _described(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    bare = [column.name for column in mart.columns if not column.description]
    if not mart.description:
        message = "The model has no description, so nobody can find it."
        yield Finding(message, "Say in description what a row is.", mart.place)
    if bare:
        yield Finding(
            f"No description: {some(bare)}.",
            "Describe each column, with its unit.",
            mart.place.at(("columns", bare[0])),
        )


def _owned(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    if not mart.group:
        message, fix = "It is in no group, so nobody answers for it.", "Set group under config."
        yield Finding(message, fix, mart.place.at("config"))
    elif not mart.owner:
        message = f"Group '{mart.group}' has no owner."
        yield Finding(message, "Give it an owner with name or email.", mart.place.at("config"))


def _access_public(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    access = evidence.model(mart).sharing.access
    if access != "public":
        yield Finding(
            f"Its access is {access}: its owner has not agreed that others build on it.",
            "Set access: public under config.",
            mart.place.at("config"),
        )


CONTRACT_ENFORCED = Criterion(
    "contract_enforced",
    BOUNDARY,
    "The mart's contract is enforced.",
    _contract_enforced,
)
DESCRIBED = Criterion(
    "described",
    FINDABLE,
    "The model and every column have a description.",
    _described,
)
OWNED = Criterion("owned", BOUNDARY, "It is in a group that has an owner.", _owned)
ACCESS_PUBLIC = Criterion("access_public", BOUNDARY, "Its access is public.", _access_public)
