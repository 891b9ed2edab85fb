"""The criteria, in the order in which they are shown; each stands under the question it answers."""

from martfeast.gate.criteria.history import HISTORY_UNCHANGED, PUBLISHED, SCHEMA_COMPATIBLE
from martfeast.gate.criteria.ownership import ACCESS_PUBLIC, CONTRACT_ENFORCED, DESCRIBED, OWNED
from martfeast.gate.criteria.quality import (
    GRAIN_TESTED_UNIQUE,
    KEYS_NOT_NULL,
    SOURCES_FRESH,
    TESTS_PASSED,
)
from martfeast.gate.criteria.truth import (
    INCREMENTS_EQUAL_FULL,
    KNOWLEDGE_TIME_DECLARED,
    LABEL_AUDITED,
    NO_LABEL_UPSTREAM,
    REPLAYED,
)

CRITERIA = (
    CONTRACT_ENFORCED,
    GRAIN_TESTED_UNIQUE,
    KEYS_NOT_NULL,
    PUBLISHED,
    TESTS_PASSED,
    SOURCES_FRESH,
    DESCRIBED,
    OWNED,
    ACCESS_PUBLIC,
    KNOWLEDGE_TIME_DECLARED,
    NO_LABEL_UPSTREAM,
    LABEL_AUDITED,
    REPLAYED,
    INCREMENTS_EQUAL_FULL,
    HISTORY_UNCHANGED,
    SCHEMA_COMPATIBLE,
)

__all__ = [
    "CRITERIA",
    "KNOWLEDGE_TIME_DECLARED",
    "NO_LABEL_UPSTREAM",
    "PUBLISHED",
]
