"""What martfeast's commands do, done and then told to OpenLineage, if that is set up.

A command does, says and exits as without it; stderr has one line more where telling was hindered.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from martfeast.from_dbt.dbt_project import ProjectLike
from martfeast.openlineage.sending import Sender
from martfeast.problems import DeclarationError

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

    from martfeast.datasets.build import Dataset
    from martfeast.datasets.builder import Say
    from martfeast.datasets.population import Request
    from martfeast.to_feast.materialize import Written
    from martfeast.to_feast.repository import FeatureRepo


def tell_release(project: ProjectLike) -> bool:
    """Tell what the current release of a project holds.

    Returns:
        Whether it was sent.

    """

    def events() -> "Iterator[RunEvent]":
        from martfeast.declaration.project import read_project
        from martfeast.gate.assess import assess
        from martfeast.lineage.columns import trace_columns
        from martfeast.openlineage.publications import publish_events

        read = read_project(project)
        yield from publish_events(assess(read), trace_columns(read.artifacts.graph))

    sender = Sender()
    sender.send(events)
    return sender.is_on


def publish(project: ProjectLike, say: Callable[[str], None]) -> bool:
    """Publish as `martfeast.publishing.publish.publish` does, and tell the release."""
    from martfeast.publishing.publish import publish as publish_recorded

    is_whole = publish_recorded(project, say)
    tell_release(project)
    return is_whole


def materialize(
    repo: "FeatureRepo", names: Sequence[str], say: "Callable[[Written], None]"
) -> "list[Written]":
    """Materialize as `martfeast.to_feast.materialize.materialize` does, and tell each view."""
    from martfeast.to_feast.materialize import materialize as materialize_views

    sender = Sender()
    done: list[Written] = []

    def tell(failed: str = "", why: str = "") -> None:
        def events() -> "Iterator[RunEvent]":
            from martfeast.openlineage.materializations import materialize_events

            yield from materialize_events(repo.store(), done, failed, why)

        sender.send(events)

    def note(written: "Written") -> None:
        done.append(written)
        say(written)

    try:
        materialize_views(repo, names, note)
    except DeclarationError as error:
        problem = error.problems[0]
        tell(problem.subject.split(".")[0], problem.message)
        raise
    tell()
    return done


def build_dataset(
    dbt_project: ProjectLike,
    feature_repo: "FeatureRepo",
    exposure_name: str,
    request: "Request",
    say: "Say" = lambda _: None,
) -> "Dataset":
    """Build a training set as `martfeast.datasets.build.build_dataset` does, and tell it."""
    from martfeast.datasets.build import build_dataset as build

    sender = Sender()
    try:
        dataset = build(dbt_project, feature_repo, exposure_name, request, say)
    except DeclarationError as error:
        why = error.problems[0].message

        def refused() -> "Iterator[RunEvent]":
            from martfeast.declaration.project import read_project
            from martfeast.openlineage.training_sets import refused_event

            yield from refused_event(read_project(dbt_project), exposure_name, why)

        sender.send(refused)
        raise

    def built() -> "Iterator[RunEvent]":
        from martfeast.declaration.project import read_project
        from martfeast.gate.assess import assess
        from martfeast.openlineage.naming import feast_namespace
        from martfeast.openlineage.training_sets import dataset_events

        namespace = feast_namespace(feature_repo.config())
        yield from dataset_events(assess(read_project(dbt_project)), namespace, dataset)

    sender.send(built)
    return dataset
