"""Runs of jobs: what happened once, and what begins and ends, as OpenLineage's events."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
    set_producer,
)
from openlineage.client.facet_v2 import error_message_run, job_type_job, processing_engine_run

from martfeast.openlineage.naming import Name
from martfeast.version import VERSION

PRODUCER = f"urn:martfeast:{VERSION}"


def event(
    state: RunState,
    job: Name,
    kind: str,
    run_id: str,
    at: datetime,
    inputs: Sequence[InputDataset] = (),
    outputs: Sequence[OutputDataset] = (),
    failure: str = "",
) -> RunEvent:
    """Return an event of a run.

    Args:
        state: of the run, since now.
        job: its name.
        kind: what the job does, in one word: publish, apply and so on.
        run_id: a UUID.
        at: when; UTC if it has no zone.
        inputs: what is read.
        outputs: what is written.
        failure: why it failed, if it did.

    """
    set_producer(PRODUCER)
    # DataHub takes no run of a producer that it does not know unless this names the engine.
    facets: dict[str, Any] = {
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            version=VERSION or "", name="martfeast"
        )
    }
    if failure:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=failure, programmingLanguage="Python"
        )
    kinds = job_type_job.JobTypeJobFacet(
        processingType="BATCH", integration="MARTFEAST", jobType=kind.upper()
    )
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    return RunEvent(
        eventType=state,
        eventTime=moment.isoformat(),
        run=Run(runId=run_id, facets=facets),
        job=Job(namespace=job.namespace, name=job.name, facets={"jobType": kinds}),
        inputs=list(inputs),
        outputs=list(outputs),
        producer=PRODUCER,
    )


def happened(
    state: RunState,
    job: Name,
    kind: str,
    run_id: str,
    at: datetime,
    inputs: Sequence[InputDataset] = (),
    outputs: Sequence[OutputDataset] = (),
    failure: str = "",
) -> Iterator[RunEvent]:
    """Yield the two events that a run is to have, of one whose end alone is known.

    The arguments are those of `event`, of its end.
    """
    yield event(RunState.START, job, kind, run_id, at, inputs)
    yield event(state, job, kind, run_id, at, inputs, outputs, failure)
