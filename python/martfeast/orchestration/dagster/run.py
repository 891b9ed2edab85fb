"""A run of a project in Dagster, in order: dbt, what is published, what is proven, Feast."""

from collections.abc import Iterator

import dagster as dg

from martfeast.files import locked
from martfeast.orchestration.dagster.layout import Layout
from martfeast.orchestration.dagster.nodes import NodeRun
from martfeast.orchestration.dagster.proof import ProofRun
from martfeast.orchestration.dagster.serving import FeastRun
from martfeast.orchestration.dagster.state import Event, RunState


def run_project(context: dg.AssetExecutionContext, layout: Layout) -> Iterator[Event]:
    """Make what was selected, each part only if what is before it is good.

    Raises:
        dagster.Failure: something failed or was refused; its description says what.

    """
    state = RunState(context, layout)
    proof, feast = ProofRun(state), FeastRun(state)
    # One writer, whatever the instance's pools say.
    with locked(layout.steps.lock, "another run of this project is at it"):
        yield from NodeRun(state).events()
        yield from proof.released()
        status = yield from proof.judged()
        yield from feast.feature_views(status)
    yield from feast.online()
    yield from feast.datasets()
    _end(state)


def _end(state: RunState) -> None:
    if not state.outcome.failed and not state.outcome.blocked:
        return
    failed = "\n".join(f"{what}: {why}" for what, why in state.outcome.failed.items())
    blocked = sorted(key.to_user_string() for key in state.outcome.blocked)
    text = f"{failed}\nNot made because of that: {', '.join(blocked)}" if blocked else failed
    raise dg.Failure(text, allow_retries=state.outcome.is_worth_a_retry)
