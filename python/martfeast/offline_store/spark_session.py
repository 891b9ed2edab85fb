"""A session of the store's own beside the one that runs.

All that differs between a session and another, and an answer would depend on, is set in it. It
shares the user's cluster and catalog and nothing else: neither settings nor views, so that nothing
has to be put back.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from martfeast.engines.spark import spark_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ASOF_JOIN: tuple[str, ...] = (
    "spark.sql.join.asofJoin.enabled",
    "spark.sql.join.sortMergeAsOfJoin.enabled",
)
# What an answer would depend on.
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parser.quotedRegexColumnNames": "false",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}


@dataclass(frozen=True)
class OwnSession:
    """A session beside the user's. is_native: whether it has ASOF JOIN."""

    session: "SparkSession"
    users: "SparkSession"
    is_native: bool

    @staticmethod
    def beside(options: Mapping[str, str]) -> "OwnSession":
        """Open one beside the session that runs, or that is started with these settings.

        It takes the settings of the user's, then those of these that can be set now, and those that
        an answer would depend on.
        """
        users = spark_session(options)
        own = users.newSession()
        settings = {**users.conf.getAll, **options}
        for name, value in settings.items():
            if own.conf.isModifiable(name):
                own.conf.set(name, value)
        is_native = all(map(own.conf.isModifiable, ASOF_JOIN))
        for name, value in {**SETTINGS, **dict.fromkeys(ASOF_JOIN * is_native, "true")}.items():
            own.conf.set(name, value)
        return OwnSession(own, users, is_native)

    @contextmanager
    def active(self) -> Iterator["SparkSession"]:
        """Work in it; the active session is the user's again afterwards, also after an error."""
        before = type(self.users).getActiveSession() or self.users
        try:
            yield self.session
        finally:
            _activate(before)

    def from_users(self, rows: "DataFrame") -> "DataFrame":
        """Return the user's rows as rows of this session, in their order."""
        return self.session.createDataFrame([], rows.schema).unionAll(rows)

    def to_users(self, rows: "DataFrame") -> "DataFrame":
        """Return rows of this session as rows of the user's, in their order."""
        return self.users.createDataFrame([], rows.schema).unionAll(rows)


def _activate(session: "SparkSession") -> None:
    """Make a session the active one of this thread, as createDataFrame does, for Java too."""
    type(session)._activeSession = session
    java: Any = session._jsparkSession
    java.setActiveSession(java)
