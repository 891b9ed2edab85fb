"""What was materialized last: the record of it, and what the online store is behind.

Reading it takes no Feast, so that `martfeast status` need not wait for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, NaiveDatetime

from martfeast.declaration.declared import FeatureMart
from martfeast.records import FileStem, Record, RecordError


class MaterializedView(BaseModel):
    """What the online store was given of one feature view.

    version: of the mart. tags: what is known of its file. until: rows known by then, UTC without
    zone. columns: keys and features.
    last_interval: the end of the last interval that Feast's registry had then, as text, and how
    many there were: others than these, and somebody has run `feast materialize` since.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: FileStem
    tags: dict[str, str]
    until: NaiveDatetime
    columns: list[str]
    last_interval: str


class Materialized(Record):
    """The file ``data/materialized.json`` of a feature repo.

    project: the Feast project. online_store: the checksum of the online store's settings.
    views: by name; a view that is being written to is not among them.
    """

    FORMAT: ClassVar[int] = 2

    project: str
    online_store: str
    views: dict[str, MaterializedView]


def materialized_path(repo_path: Path) -> Path:
    """Return the file of the record of a feature repo."""
    return repo_path / "data/materialized.json"


@dataclass(frozen=True)
class Behind:
    """A mart whose published version the online store does not serve.

    served: the version that it serves; None if that is not known. published: the version to serve.
    overwritten_after: the end of an older interval that Feast materialized last, UTC with zone: of
    rows known later, older ones may stand in their place; None if there was none.
    """

    mart: str
    served: str | None
    published: str
    overwritten_after: datetime | None = None

    def __str__(self) -> str:
        if self.overwritten_after is not None:
            end = self.overwritten_after.strftime("%Y-%m-%d %H:%M:%S")
            return (
                f"online: {self.mart} may serve older values in place of newer ones: an interval"
                f" up to {end} UTC was materialized after a later one; run `martfeast materialize`"
            )
        serves = f"version {self.served}" if self.served else "no known version"
        return (
            f"online: {self.mart} serves {serves}, published is {self.published};"
            " run `feast apply` if that is not applied, and `martfeast materialize`"
        )


def behind(
    repo_path: Path, marts: Iterable[FeatureMart], overwritten: Mapping[str, datetime]
) -> list[Behind]:
    """Return the marts that the online store is behind with.

    Args:
        repo_path: the folder of the feature repo.
        marts: the feature marts of the project.
        overwritten: the end of the older interval that Feast materialized last, by feature view.

    Returns:
        One for each mart. Where `martfeast materialize` was never run, only those overwritten.

    """
    views: dict[str, MaterializedView] | None = None
    try:
        views = Materialized.read(materialized_path(repo_path)).views
    except FileNotFoundError:
        pass
    except RecordError:
        views = {}  # `martfeast materialize` says what is wrong with it, and writes everything
    found = []
    for mart in marts:
        if not mart.online or mart.version is None:
            continue
        published, end = mart.version.name, overwritten.get(mart.name)
        if end is not None:
            found.append(Behind(mart.name, None, published, end))
        elif views is not None:
            served = views[mart.name].version if mart.name in views else None
            if served != published:
                found.append(Behind(mart.name, served, published))
    return found
