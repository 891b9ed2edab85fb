"""What Feast holds after a run: feature views, their latest rows online, and training sets."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from martfeast.orchestration.dagster.events import output
from martfeast.orchestration.dagster.state import Event, RunState, parse_json


class FeastRun:
    """Applies, materializes, and builds datasets, each if nothing before it failed."""

    def __init__(self, state: RunState) -> None:
        """Remember the run."""
        self.state = state

    def feature_views(self, status: dict[str, Any] | None) -> Iterator[Event]:
        """Apply what is declared, if the gate lets all of it pass.

        status: what `martfeast status` says; None if it failed.
        """
        views = self.state.wanted(self.state.layout.feature_views)
        if not views:
            return
        if status is None or not status["is_ready"]:
            self._refuse(status)
            self.state.block(views)
        elif self.state.run(self.state.steps.apply()) is None:
            self.state.block(views)
        else:
            marts = {mart["mart"]: mart for mart in status["marts"]}
            for name, spec in views.items():
                feature_mart = self.state.steps.feature_marts[name]
                metadata = {
                    "version": marts[name]["version"],
                    "path": dg.MetadataValue.path(marts[name]["path"]),
                    "features": feature_mart.features,
                    "entities": feature_mart.entity_columns,
                }
                yield output(spec, None, metadata)

    def _refuse(self, status: dict[str, Any] | None) -> None:
        if status is None:
            return
        for problem in status["problems"]:
            said = f"{problem['message']} {problem['fix']}"
            self.state.outcome.fail(f"declaration, {problem['subject']}", said)
        waiting = [mart["mart"] for mart in status["marts"] if not mart["is_ready"]]
        why = f"the gate refuses {', '.join(waiting) or 'the declaration'}"
        self.state.outcome.fail("feast apply", f"{why}; the registry is as it was")

    def online(self) -> Iterator[Event]:
        """Write to the online store what changed."""
        wanted = self._unblocked(self.state.layout.online)
        if not wanted:
            return
        printed = self.state.run(self.state.steps.materialize(list(wanted)))
        for spec in wanted.values():
            if printed is None:
                self.state.outcome.blocked.add(spec.key)
            else:
                yield output(spec, None, {"said": dg.MetadataValue.text(printed)})

    def datasets(self) -> Iterator[Event]:
        """Build the training sets whose inputs are new."""
        artifacts = self.state.steps.project.artifacts
        for name, spec in self._unblocked(self.state.layout.datasets).items():
            printed = self.state.run(self.state.steps.dataset(name))
            if printed is None:
                self.state.outcome.blocked.add(spec.key)
                continue
            record = parse_json(printed)
            folder = artifacts.datasets_path / name / f"{record['number']:04}"
            yield output(
                spec,
                record["file"]["sha256"],
                {
                    "number": record["number"],
                    "dagster/row_count": record["file"]["rows"],
                    "path": dg.MetadataValue.path(str(folder)),
                    "card": dg.MetadataValue.url((folder / "card.html").as_uri()),
                    "limits": record["limits"],
                },
            )

    def _unblocked(self, specs: dict[str, dg.AssetSpec]) -> dict[str, dg.AssetSpec]:
        """Return what was selected, and has nothing before it that failed in this run."""
        wanted = self.state.wanted(specs)
        for name, spec in wanted.items():
            if self.state.is_blocked(*(dep.asset_key for dep in spec.deps)):
                self.state.block({name: spec})
        return {n: spec for n, spec in wanted.items() if not self.state.is_blocked(spec.key)}
