"""One path from a landed file to a trained model, in events of dbt-ol, martfeast and Feast."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import BuildOnce
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from landed_library import Told, build
from referencing import Registry, Resource

HERE = Path(__file__).parent
FACETS = Path(__file__).parents[2] / "python/martfeast/openlineage"
SERVICE = "overdue_prediction"
VIEW = "member_activity_daily"
# A data set's namespace and name, and a column.
Column = tuple[str, str, str]


@pytest.fixture(scope="session")
def told_library(build_once: BuildOnce) -> Told:
    """The library from a landed file to a trained model; tests read it and do not change it."""
    return Told(build_once("told", build))


def edges(events):
    """Return what leads to what, data sets and jobs, each as namespace and name."""
    found = set()
    for event in events:
        job = ("job", event["job"]["namespace"], event["job"]["name"])
        for kind, side in (("inputs", 0), ("outputs", 1)):
            for one in event.get(kind, []):
                pair = [("dataset", one["namespace"], one["name"]), job]
                found.add(tuple(pair if side == 0 else pair[::-1]))
    return found


def version_of(library, mart):
    return str(library.published / library.published_mart(mart)["path"])


def path_of(library):
    """Every node from the landed file to the model, in order."""
    warehouse = "duckdb://library.duckdb"
    published = version_of(library, VIEW)
    data = str(library.path / f"out/datasets/{SERVICE}/0001/data.parquet")
    return [
        ("dataset", "file", str(library.path / "landed/member_days.parquet")),
        ("job", "martfeast", "library.counter.member_days.read"),
        ("dataset", warehouse, "library.main.member_days"),
        ("job", "dbt", f"library.main.library.{VIEW}.build.run"),
        ("dataset", warehouse, f"library.main.{VIEW}"),
        ("job", "martfeast", f"library.{VIEW}.publish"),
        ("dataset", "file", published),
        ("job", "library", f"feature_view_{VIEW}"),
        ("dataset", "library", VIEW),
        ("job", "library", f"feature_service_{SERVICE}"),
        ("dataset", "library", SERVICE),
        ("job", "martfeast", f"library.{SERVICE}.dataset"),
        ("dataset", "file", data),
        ("job", "martfeast", "overdue.train"),
        ("dataset", "file", str(library.path / "model.bin")),
    ]


def test_one_path_leads_from_the_landed_file_to_the_trained_model(told_library):
    found, path = edges(told_library.events), path_of(told_library)
    for pair in pairwise(path):
        assert pair in found, pair
    # Nothing feeds itself, and no view is fed by another's file.
    assert not {(b, a) for a, b in found} & found
    other = ("dataset", "file", version_of(told_library, "title_availability"))
    assert (other, ("job", "library", f"feature_view_{VIEW}")) not in found
    online = ("dataset", "library", f"online_store_{VIEW}")
    assert (("job", "library", f"materialize_{VIEW}"), online) in found


def column_edges(events):
    for event in events:
        for one in [*event.get("inputs", []), *event.get("outputs", [])]:
            for column, said in (
                one.get("facets", {}).get("columnLineage", {}).get("fields", {}).items()
            ):
                for read in said["inputFields"]:
                    yield (
                        (read["namespace"], read["name"], read["field"]),
                        (one["namespace"], one["name"], column),
                    )


def test_a_column_of_the_training_set_leads_back_to_the_landed_files(told_library):
    parents: dict[Column, set[Column]] = {}
    for parent, child in column_edges(told_library.events):
        parents.setdefault(child, set()).add(parent)
    data = str(told_library.path / f"out/datasets/{SERVICE}/0001/data.parquet")
    seen, waiting = set(), [("file", data, "overdue_share_30d"), ("file", data, "event_timestamp")]
    while waiting:
        column = waiting.pop()
        seen.add(column)
        waiting += parents.get(column, set()) - seen
    table = ("duckdb://library.duckdb", f"library.main.{VIEW}", "overdue_share_30d")
    assert ("file", version_of(told_library, VIEW), "overdue_share_30d") in seen
    assert table in seen
    landed = str(told_library.path / "landed/member_days.parquet")
    assert ("file", landed, "overdue_share_30d") in seen
    # Renamed on the way: the moment that a label row is asked at.
    assert ("file", version_of(told_library, "loan_labels"), "predicted_at") in seen


def schemas():
    found = [*sorted((HERE / "schemas").rglob("*.json")), *sorted(FACETS.glob("*.json"))]
    assert len(found) > 15
    read = [json.loads(file.read_text()) for file in found]
    return Registry().with_resources([(one["$id"], Resource.from_contents(one)) for one in read])


def facets(event):
    yield from event["run"].get("facets", {}).items()
    yield from event["job"].get("facets", {}).items()
    for one in [*event.get("inputs", []), *event.get("outputs", [])]:
        for kind in ("facets", "inputFacets", "outputFacets"):
            yield from one.get(kind, {}).items()


def faults(event, registry):
    """What of an event is not as the published schemas have it."""
    checked = [(event, event["schemaURL"])]
    for name, facet in facets(event):
        url = facet["_schemaURL"]
        is_published = url.startswith(("https://openlineage.io/", "urn:martfeast:"))
        if not is_published:
            assert name.startswith(("dbt_", "feast_")), name
            url = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/BaseFacet"
        checked.append((facet, url))
    for value, url in checked:
        validator = Draft202012Validator(
            {"$ref": url},
            registry=registry,
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
        yield from (f"{url}: {error.message}" for error in validator.iter_errors(value))


def test_every_run_begins_and_ends_once_by_what_is_sent_at_a_time(told_library):
    """An end alone is not a run by the specification."""
    states: dict[str, set[str]] = {}
    for event in told_library.events:
        states.setdefault(event["run"]["runId"], set()).add(event["eventType"])
    assert set(map(frozenset, states.values())) == {frozenset({"START", "COMPLETE"})}


def test_every_event_is_as_the_published_schemas_have_it(told_library):
    registry = schemas()
    seen = set()
    for event in told_library.events:
        assert list(faults(event, registry)) == []
        seen |= {name for name, _ in facets(event)}
    assert seen >= {
        "schema",
        "columnLineage",
        "dataQualityAssertions",
        "ownership",
        "version",
        "outputStatistics",
        "documentation",
        "martfeast_replay",
    }
    assert "symlinks" not in seen


@pytest.mark.parametrize(
    ("facet", "key", "value"),
    [("martfeast_replay", "cuts", -1), ("schema", "fields", 7), ("ownership", "owners", "nobody")],
)
def test_a_facet_that_is_not_as_its_schema_has_it_is_found(told_library, facet, key, value):
    event = next(
        one
        for one in told_library.events
        if one["eventType"] == "COMPLETE"
        and one["job"]["name"].endswith(".publish")
        and facet in one["outputs"][0]["facets"]
    )
    event["outputs"][0]["facets"][facet][key] = value
    assert list(faults(event, schemas()))
