"""Training as events: a training set to the files of a model, told by users' own scripts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from martfeast.openlineage.naming import Name, file, job_namespace
from martfeast.openlineage.sending import Sender

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent, RunState


@dataclass
class TrainingRun:
    """A run of a training script. run_id: a UUID, to note beside the model."""

    model: str
    dataset: Path
    run_id: str = field(default_factory=lambda: str(uuid4()))
    _written: dict[Path | str, tuple[str, str]] = field(default_factory=dict)

    def wrote(self, path: Path | str, description: str = "", version: str = "") -> None:
        """Note a file that the run wrote, such as the model; a path, or a URL.

        Args:
            path: the file.
            description: for people; what the model is, unless given.
            version: what the model's version is called; the run's id unless given.

        """
        self._written[path] = (description or f"Model {self.model}.", version or self.run_id)

    def _event(self, state: "RunState", failure: str = "") -> "RunEvent":
        from openlineage.client.event_v2 import RunState

        from martfeast.openlineage.runs import event

        return event(
            state,
            Name(job_namespace(), f"{self.model}.train"),
            "train",
            self.run_id,
            datetime.now(UTC),
            [self._input()],
            self._outputs() if state is RunState.COMPLETE else [],
            failure,
        )

    def _input(self) -> "InputDataset":
        from openlineage.client.event_v2 import InputDataset

        from martfeast.datasets.folder import DATA, RECORD, read_record
        from martfeast.openlineage.facets import file_facets

        record = read_record(self.dataset / RECORD)
        name = file(self.dataset / DATA)
        about = record.about.description
        facets = file_facets(name, str(record.number), about, record.saved_dataset)
        return InputDataset(namespace=name.namespace, name=name.name, facets=facets)

    def _outputs(self) -> "list[OutputDataset]":
        from openlineage.client.event_v2 import OutputDataset

        from martfeast.openlineage.facets import file_facets

        found = []
        for path, (description, version) in self._written.items():
            name = file(path)
            facets = file_facets(name, version, description)
            found.append(OutputDataset(namespace=name.namespace, name=name.name, facets=facets))
        return found


@contextmanager
def training_run(dataset: Path | str, model: str) -> Iterator[TrainingRun]:
    """Tell OpenLineage, if that is set up, that a model is trained on a dataset within this.

    It begins and ends with this; it failed if an exception leaves this, which goes on as it was.
    Whatever hinders the telling is said in one line on stderr.

    Args:
        dataset: the folder of a dataset that ``martfeast dataset`` built.
        model: what the model is called; the job is ``<model>.train``.

    Yields:
        The run, to be told which files it writes.

    """
    run = TrainingRun(model, Path(dataset).resolve())
    sender = Sender()

    def told(state: str, failure: str = "") -> None:
        def events() -> "Iterator[RunEvent]":
            from openlineage.client.event_v2 import RunState

            yield run._event(RunState(state), failure)

        sender.send(events)

    told("START")
    try:
        yield run
    except BaseException as error:
        told("FAIL", f"{type(error).__name__}: {error}")
        raise
    told("COMPLETE")
