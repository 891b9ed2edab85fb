"""What each command tells, what it says where it cannot, and that it is off by default."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import pytest
from conftest import BuildOnce, Library
from landed_library import EVENTS, Told, build, read_events

VIEW = "member_activity_daily"
SERVICE = "overdue_prediction"


@pytest.fixture(scope="session")
def told_library(build_once: BuildOnce) -> Told:
    """The library from a landed file to a trained model; tests read it and do not change it."""
    return Told(build_once("told", build))


@pytest.fixture
def told(told_library, tmp_path):
    """A copy for a test to change, of which no event is sent yet."""
    copy = Told(Library.copy_to(told_library, tmp_path / "project").path)
    (copy.path / EVENTS).unlink()
    return copy


def of_job(events, name):
    return [event for event in events if event["job"]["name"] == name]


def ended(events, name):
    return [event for event in of_job(events, name) if event["eventType"] != "START"]


def test_a_publication_tells_what_vouches_for_it(told_library):
    *_, event = of_job(told_library.events, f"library.{VIEW}.publish")
    record = told_library.published_mart(VIEW)
    (read,), (written,) = event["inputs"], event["outputs"]
    assert event["eventTime"].startswith(record["published_at"].rstrip("Z"))
    assert read["facets"]["ownership"]["owners"] == [
        {"name": "group:lending", "type": "group"},
        {"name": "lending@library.example", "type": "contact"},
    ]
    tests = {one["name"]: one for one in read["inputFacets"]["dataQualityAssertions"]["assertions"]}
    assert tests.keys() == {one["test"] for one in record["tests"]}
    not_null = next(one for name, one in tests.items() if "not_null" in name)
    assert (not_null["assertion"], not_null["success"]) == ("not_null", True)
    assert not_null["column"] in ("member_id", "known_at")
    facets = written["facets"]
    assert facets["version"]["datasetVersion"] == record["version"]
    assert facets["dataSource"]["uri"] == written["name"]
    assert facets["documentation"]["description"].startswith("What each member borrowed")
    assert [one["name"] for one in facets["schema"]["fields"]][-1] == "published_at"
    statistics = written["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"]) == (4, record["byte_count"])
    assert facets["martfeast_replay"]["passed"] is True
    assert facets["martfeast_replay"]["comparedRows"] > 0


def test_a_publication_tells_what_the_columns_of_the_table_are_computed_of(told_library):
    *_, event = of_job(told_library.events, "library.loan_labels.publish")
    said = event["inputs"][0]["facets"]["columnLineage"]
    late = said["fields"]["is_overdue"]["inputFields"]
    assert {(one["name"], one["field"]) for one in late} == {
        ("library.main.loan_returns", "returned_at"),
        ("library.main.loans", "due_at"),
    }
    assert {one["transformations"][0]["subtype"] for one in late} == {"TRANSFORMATION"}
    joined = {(one["name"], one["transformations"][0]["subtype"]) for one in said["dataset"]}
    assert ("library.main.loan_returns", "JOIN") in joined


def test_feast_reads_the_file_that_was_published_by_a_source_of_another_name(told_library):
    from feast import FeatureStore

    view = FeatureStore(str(told_library.path / "feature_repo")).get_feature_view(VIEW)
    source: Any = view.batch_source
    *_, event = of_job(told_library.events, f"library.{VIEW}.publish")
    assert source.name == f"{VIEW}__published" != view.name
    assert source.path == event["outputs"][0]["name"]


def test_sending_the_release_again_is_the_same_runs(told_library, told):
    for _ in range(2):
        assert told.martfeast("emit", cwd=told.path).returncode == 0
    half = len(told.events) // 2
    first, second = told.events[:half], told.events[half:]
    assert first and first == second
    before = {one["run"]["runId"] for one in told_library.events}
    assert {one["run"]["runId"] for one in first} <= before


def test_a_mart_that_is_held_back_failed_to_be_published(told):
    told.replace_in(
        "models/marts/title_availability.sql", "waiting_days,", "null::float as waiting_days,"
    )
    told.replace_in("seeds/shelf_checks.csv", "north,10,", ",10,")
    assert told.dbt("build").returncode != 0
    assert told.martfeast("emit", cwd=told.path).returncode == 0
    events = ended(told.events, "library.title_availability.publish")
    assert [one["eventType"] for one in events] == ["COMPLETE", "FAIL"]
    failed = events[-1]["run"]["facets"]["errorMessage"]["message"]
    assert "title_availability is held back" in failed
    assert "not_null" in failed
    # It was published before, and that version was not written by this run.
    assert events[0]["run"]["runId"] != events[1]["run"]["runId"]


def test_a_training_that_fails_says_so_and_raises_what_it_raised(told):
    script = (
        "import martfeast\n"
        f"with martfeast.training_run('out/datasets/{SERVICE}/0001', 'overdue'):\n"
        "    raise ValueError('no labels')\n"
    )
    done = told.python(script)
    assert done.returncode == 1
    assert "ValueError: no labels" in done.stderr
    begun, failed = of_job(told.events, "overdue.train")
    assert (begun["eventType"], failed["eventType"]) == ("START", "FAIL")
    assert begun["run"]["runId"] == failed["run"]["runId"]
    assert failed["run"]["facets"]["errorMessage"]["message"] == "ValueError: no labels"


def test_a_dataset_that_is_refused_failed_to_be_built(told):
    done = told.martfeast("dataset", SERVICE, "--from", "2030-01-01", cwd=told.path)
    assert done.returncode == 2
    (event,) = ended(told.events, f"library.{SERVICE}.dataset")
    assert event["eventType"] == "FAIL"
    assert event["run"]["facets"]["errorMessage"]["message"]


def test_a_refused_apply_tells_nothing(told):
    told.replace_in("models/marts/_marts__models.yml", "group: lending", "group: nobody")
    assert told.feast("apply").returncode != 0
    assert told.events == []


def test_an_apply_over_an_older_registry_replaces_its_source(told):
    """Sources were named as their views once."""
    objects = told.path / "feature_repo/features.py"
    text = objects.read_text()
    objects.write_text(
        f"{text}\nfor one in [*globals().values()]:\n"
        "    if type(one).__name__ == 'FeatureView':\n"
        "        one.batch_source.name = one.name\n"
    )
    assert told.feast("apply").returncode == 0
    objects.write_text(text)
    plan = told.feast("plan")
    applied = told.feast("apply")
    assert applied.returncode == 0, applied.stderr
    print(plan.stdout, applied.stdout)
    from feast import FeatureStore

    store = FeatureStore(str(told.path / "feature_repo"))
    names = {source.name for source in store.list_data_sources()}
    assert names == {f"{VIEW}__published", "title_availability__published"}


class Receiver(ThreadingHTTPServer):
    """Takes events as a catalog does, or answers that it cannot."""

    def __init__(self, status: int = 201) -> None:
        self.received: list[Any] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((self.path, json.loads(body)))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class ByHttp(Library):
    """A library that sends its events to a URL."""

    url = ""

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "OPENLINEAGE_URL": self.url}


def by_http(told, url):
    library = ByHttp(told.path)
    type(library).url = url
    return library


def test_events_go_by_http_where_that_is_set_up(told, receiver):
    library = by_http(told, receiver.url)
    done = library.martfeast("emit", cwd=told.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path for path, _ in receiver.received} == {"/api/v1/lineage"}
    jobs = [event["job"]["name"] for _, event in receiver.received]
    assert f"library.{VIEW}.publish" in jobs


def unused_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def test_a_catalog_that_is_down_fails_no_run_and_is_said_in_one_line(told):
    library = by_http(told, f"http://127.0.0.1:{unused_port()}")
    applied = library.feast("apply")
    assert applied.returncode == 0, applied.stderr
    said = [line for line in applied.stderr.splitlines() if "lineage" in line]
    assert len(said) == 1, applied.stderr
    assert said[0].startswith("martfeast: lineage was not sent: ConnectionError: ")
    done = library.martfeast("materialize", cwd=told.path)
    assert done.returncode == 0
    assert [line[:33] for line in done.stderr.splitlines()] == ["martfeast: lineage was not sent: "]
    # The one command that is asked for nothing else says so by its exit code.
    assert library.martfeast("emit", cwd=told.path).returncode == 3


def test_settings_that_name_no_transport_that_there_is_fail_no_run(told):
    class Wrong(Library):
        def environment(self) -> dict[str, str]:
            return {**super().environment(), "OPENLINEAGE__TRANSPORT": '{"type": "pigeon"}'}

    done = Wrong(told.path).martfeast("materialize", cwd=told.path)
    assert done.returncode == 0
    assert done.stderr.startswith("martfeast: lineage was not sent: ")
    assert "pigeon" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_is_off_unless_it_is_set_up(told):
    library = Library(told.path)
    code = (
        "import sys, martfeast.cli\n"
        "try:\n    martfeast.cli.main(['materialize'])\n"
        "finally:\n    print(sorted(one for one in sys.modules if one.startswith('openlineage')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=told.path,
        env={**library.environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert "keys written" in done.stdout
    assert "publications" not in done.stdout
    refused = library.martfeast("emit", cwd=told.path)
    assert refused.returncode == 2
    assert "not-set-up" in refused.stderr


def test_a_machine_without_the_extra_says_which_it_is(told):
    code = (
        "import sys\nsys.modules['openlineage.client'] = None\n"
        "import martfeast.cli\nmartfeast.cli.main(['materialize'])\n"
    )
    done = told.python(code)
    assert done.returncode == 0
    assert "pip install 'martfeast[openlineage]'" in done.stderr


def test_feasts_own_consumer_draws_the_path(told_library, tmp_path):
    import uvicorn
    from feast import FeatureStore
    from feast.lineage_server import create_lineage_app
    from requests import Session
    from test_joined import path_of

    repo = tmp_path / "feature_repo"
    repo.mkdir()
    (repo / "feature_store.yaml").write_text(
        "project: library\nprovider: local\nentity_key_serialization_version: 3\n"
        f"registry: {{registry_type: sql, path: 'sqlite:///{tmp_path}/registry.db'}}\n"
        f"online_store: {{type: sqlite, path: {tmp_path}/online.db}}\n"
        "openlineage: {enabled: false, consumer: {enabled: true}}\n"
    )
    port = unused_port()
    app = create_lineage_app(FeatureStore(str(repo)))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    url = f"http://127.0.0.1:{port}/api/v1/lineage"
    try:
        with Session() as session:
            for event in read_events(told_library.path / EVENTS):
                assert session.post(url, json=event).status_code == 201
            graph = session.get(f"{url}/openlineage/graph").json()
    finally:
        server.should_exit = True
    found = {
        tuple(
            (edge[f"{end}_type"], edge[f"{end}_namespace"], edge[f"{end}_name"])
            for end in ("source", "target")
        )
        for edge in graph["edges"]
    }
    path = path_of(told_library)
    assert [pair for pair in pairwise(path) if pair not in found] == []
