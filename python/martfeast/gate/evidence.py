"""What marts are judged by: what dbt says, what is published, what was replayed and registered."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from martfeast.declaration.declared import Mart
from martfeast.declaration.project import Project
from martfeast.engines.abilities import build_command
from martfeast.from_dbt.checksums import code_checksum
from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Model
from martfeast.published.release import Verdict
from martfeast.published.replays import ReplayRecord


@dataclass(frozen=True)
class Registered:
    """What a Feast registry holds; by default nothing.

    services: for each feature service, the Feast type of each feature, by feature view.
    keys: for each feature view, the Feast type of each of its join keys.
    overwritten: for each feature view whose last materialization ended before an earlier one, that
    end, UTC with zone: rows known after it may be hidden by older ones online.
    """

    services: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    overwritten: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """All that marts are judged by. replays: by the mart's unique_id. now: UTC, with zone."""

    project: Project
    replays: dict[str, ReplayRecord] = field(default_factory=dict)
    registered: Registered = field(default_factory=Registered)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def graph(self) -> Graph:
        """The graph of the dbt project."""
        return self.project.artifacts.graph

    @property
    def build(self) -> str:
        """What to run so that marts are built and published, as words for an advice."""
        return build_command(self.graph.adapter_type)

    def model(self, mart: Mart) -> Model:
        """Return the mart's model."""
        return self.graph.models[mart.unique_id]

    def verdict(self, mart: Mart) -> Verdict:
        """Return what the last dbt run said of the mart."""
        return self.project.release.verdict(mart.unique_id)

    def lineage(self, mart: Mart) -> list[str]:
        """Return the unique_ids of the mart and of everything upstream of it, parents first."""
        return self.graph.upstream(mart.unique_id)

    def changed_since(self, mart: Mart, lineage: dict[str, str | None]) -> list[str]:
        """Return which of the mart and the models upstream run other code now than in a lineage.

        A seed's code is its rows: that they changed and are held back, `tests_passed` says.
        """
        models = [self.graph.models.get(name) for name in sorted(self.lineage(mart))]
        return [
            model.alias
            for model in models
            if model is not None
            and model.resource_type == "model"
            and not model.is_ephemeral
            and lineage.get(model.unique_id) != code_checksum(self.graph, model.unique_id)
        ]
