"""Two teams, each with a dbt project and a feature repo: one uses marts that the other shares.

The readers have the library's published folder, by its path, and nothing else of it.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from conftest import REPOSITORY, BuildOnce, Json, Library
from martfeast.causes import Cause
from martfeast.orchestration.dagster import build_definitions

TITLES, LABELS, STOCK = "title_availability", "loan_labels", "branch_stock"
SOURCES, YAML = "models/library.yml", "models/readers.yml"
LIBRARY_YAML = "models/marts/_marts__models.yml"
MODEL = "model.library.title_availability"


@dataclass(frozen=True)
class Teams:
    """The library, which shares its marts, and the readers, who use them."""

    library: Library
    readers: Library

    def status(self, *arguments: str) -> str:
        """What `martfeast status` says to the readers, as one line."""
        done = self.readers.martfeast("status", *arguments, cwd=self.readers.path)
        return " ".join((done.stdout + done.stderr).split())

    def refused(self) -> str:
        """What `martfeast status` says to the readers, which it refuses."""
        done = self.readers.martfeast("status", cwd=self.readers.path)
        assert done.returncode in (Cause.EVIDENCE, Cause.USAGE), done.stdout
        return " ".join((done.stdout + done.stderr).split())

    def shown(self) -> Json:
        """What `martfeast status --json` says of the titles."""
        found = json.loads(self.readers.martfeast("status", "--json", cwd=self.readers.path).stdout)
        (shared,) = (one for one in found["shared"] if one["mart"].startswith(TITLES))
        return shared

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        """Query the readers' warehouse."""
        with duckdb.connect(str(self.readers.path / "readers.duckdb")) as connection:
            return connection.execute(sql).fetchall()

    def edit_release(self, edit: Callable[[Json], object]) -> None:
        """Change what the library's release says, as another martfeast could have written it."""
        file = self.library.published / "current.json"
        release = json.loads(file.read_text())
        del release["checksum"]
        edit(release)
        rest = json.dumps(release)[1:]
        checksum = hashlib.sha256(f"{{{rest}".encode()).hexdigest()
        file.write_text(f'{{"checksum":"{checksum}",{rest}')

    def edit_titles(self, edit: Callable[[Json], object]) -> None:
        """Change what the library's release says of the titles."""
        self.edit_release(
            lambda release: [edit(one) for one in release["marts"] if one["mart"] == TITLES]
        )

    def check_shelves(self, day: int) -> None:
        """Add a row to what the library knows of its titles."""
        with (self.library.path / "seeds/shelf_checks.csv").open("a") as seed:
            seed.write(f"north,10,2026-03-{day:02} 08:00:00,5,1.5,N-1\n")

    def titles(self) -> Json:
        """What the library's release says of the titles."""
        return self.library.published_mart(TITLES)


@pytest.fixture(scope="session")
def built_teams(built_library: Library, build_once: BuildOnce) -> Path:
    """Both projects built and replayed; tests read them and do not change them."""

    def build(path: Path) -> None:
        built_library.copy_to(path / "library")
        ignored = shutil.ignore_patterns(
            "target", "logs", "dbt_packages", "out", "*.duckdb", "data"
        )
        source = REPOSITORY / "tests/projects/readers"
        shutil.copytree(source, path / "readers", ignore=ignored)
        package = REPOSITORY / "python/martfeast/dbt_package"
        (path / "readers/packages.yml").write_text(f"packages:\n  - local: {package}\n")
        readers = Library(path / "readers")
        for arguments in (["deps"], ["build", "--select", "readers+"]):
            result = readers.dbt(*arguments)
            assert result.returncode == 0, result.stdout
        readers.replay()

    return build_once("teams", build)


@pytest.fixture
def teams(built_teams: Path, tmp_path: Path) -> Teams:
    """Copy both projects, for one test to change."""
    shutil.copytree(built_teams, tmp_path / "teams", symlinks=True)
    return Teams(Library(tmp_path / "teams/library"), Library(tmp_path / "teams/readers"))


# What the readers have


def test_another_team_has_features_labels_and_serving(teams):
    readers = teams.readers
    applied = readers.feast("apply")
    assert applied.returncode == 0, applied.stderr
    from feast import FeatureStore

    with readers.inside(readers.path):
        store = FeatureStore(str(readers.path / "feature_repo"))
        view = store.get_feature_view(TITLES)
        asked = pd.DataFrame(
            {
                "branch_code": ["north", "north", "south"],
                "title_id": [10, 10, 10],
                "event_timestamp": pd.to_datetime(["2026-03-02", "2026-03-04", "2026-03-01"]),
            }
        )
        service = store.get_feature_service("reading_advice")
        frame = store.get_historical_features(asked, service).to_df()
        written = readers.martfeast("materialize", cwd=readers.path)
        online = store.get_online_features(service, [{"branch_code": "north", "title_id": 10}])
        served = online.to_dict()
    # The library's file, and what its YAML says of it, with whose it is.
    released = teams.titles()
    source: Any = view.batch_source
    assert source.path == str(teams.library.published / released["path"])
    assert (view.owner, view.online) == ("lending@library.example", True)
    assert (
        view.description
        == "How many copies of a title a branch has, at every check of its shelves."
    )
    assert view.tags == {
        "dbt_unique_id": MODEL,
        "dbt_group": "lending",
        "dbt_source": "source.readers.library.title_availability",
        "shared_by": "library",
        "shared_from": str(teams.library.published),
    }
    assert source.tags["sha256"] == released["sha256"]
    found = frame.sort_values(["branch_code", "event_timestamp"])
    assert found["copies_free"].tolist()[:2] == [4, 0]
    assert found["branch_copies_free"].tolist()[:2] == [11, 0]
    assert found[["copies_free", "branch_copies_free"]].iloc[2].isna().all()
    assert "title_availability: 3 keys written" in written.stdout
    assert (served["copies_free"], served["branch_copies_free"]) == ([0], [0])

    # The label is the library's too, and so are the rows of a dataset.
    dataset = readers.martfeast("dataset", "reading_advice", "--json", cwd=readers.path)
    assert dataset.returncode == 0, dataset.stderr
    record = json.loads(dataset.stdout)
    columns = {one["name"]: one for one in record["columns"]}
    assert "library.title_availability" in json.dumps(columns["copies_free"])
    assert "library.loan_labels" in json.dumps(columns["is_overdue"])

    # The library keeps the version that the readers' registry reads, and only because of that.
    for day in (4, 5):
        teams.check_shelves(day)
        assert teams.library.dbt("build", "--select", "+title_availability").returncode == 0
    teams.library.replace_in(
        "dbt_project.yml", "published_path:", "keep_releases: 1\n    published_path:"
    )
    theirs, own = str(readers.path / "feature_repo"), str(teams.library.path / "feature_repo")
    file = teams.library.published / released["path"]
    for repos, stays in (([own, theirs], True), ([own], False)):
        named = [part for repo in repos for part in ("--feature-repo", repo)]
        pruned = teams.library.martfeast("prune", *named, cwd=teams.library.path)
        assert pruned.returncode == 0, pruned.stderr
        assert file.exists() == stays


def test_status_says_whose_a_mart_is(teams):
    said = teams.status()
    version = teams.titles()["version"]
    assert (
        "library.title_availability is title_availability of library (lending@library.example),"
        f" version {version}, release 1 in {teams.library.published}" in said
    )
    assert "ready: 2 feature views, 1 services, 1 label marts; release 1" in said
    assert "14 of 14 pass" in said  # those that a release can show
    assert teams.shown() == {
        "source": "source.readers.library.title_availability",
        "mart": TITLES,
        "unique_id": MODEL,
        "owner": "lending@library.example",
        "published_path": str(teams.library.published),
        "release": 1,
        "version": version,
        "deprecation_date": None,
        "notices": [],
    }
    assert "shared library.title_availability is" in teams.status(TITLES)


def test_orchestration_shows_what_others_share_as_sources(teams):
    keys = {
        spec.key.to_user_string(): {one.asset_key.to_user_string() for one in spec.deps}
        for spec in build_definitions(teams.readers.path).resolve_all_asset_specs()
    }
    source = "library/title_availability"
    assert keys["feature_views/title_availability"] == {source}
    assert keys["branch_stock"] == {source}
    assert "released/title_availability" not in keys
    assert keys["datasets/reading_advice"] == {
        "feature_views/title_availability",
        "feature_views/branch_stock",
        "library/loan_labels",
    }


# What is refused


def no_terms(teams: Teams) -> None:
    teams.edit_titles(lambda mart: [mart.pop("sharing"), mart.pop("declared")])


def access(name: str) -> Callable[[Teams], None]:
    return lambda teams: teams.edit_titles(
        lambda mart: [mart["sharing"].update(access=name), mart.update(declared=None)]
    )


def without_titles(teams: Teams) -> None:
    """As after a build that came after the mart was removed."""
    teams.edit_release(
        lambda release: release.update(
            release_number=2, marts=[one for one in release["marts"] if one["mart"] != TITLES]
        )
    )


def unreplayed(teams: Teams) -> None:
    (teams.library.published / "replays.json").unlink()


def other_bytes(teams: Teams) -> None:
    file = teams.library.published / teams.titles()["path"]
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)


def bare_column(teams: Teams) -> None:
    teams.edit_titles(
        lambda mart: mart["declared"]["node"]["columns"]["copies_free"].update(description="")
    )


def untested_grain(teams: Teams) -> None:
    def edit(mart: Json) -> None:
        tests = mart["declared"]["tests"]
        mart["declared"]["tests"] = [one for one in tests if "unique_grain" not in one["name"]]

    teams.edit_titles(edit)


def own_definition(teams: Teams) -> None:
    def edit(mart: Json) -> None:
        for one in mart["declared"]["tests"]:
            one["macros"] = [name.replace(".martfeast.", ".library.") for name in one["macros"]]

    teams.edit_titles(edit)


REFUSED = {
    "protected": (
        access("protected"),
        "[shared-not-public] 'title_availability' is protected in project library: its owner has"
        " not agreed that others build on it. Ask lending@library.example (group lending) to set"
        " access: public.",
    ),
    "private": (access("private"), "'title_availability' is private in project library"),
    "gone": (
        without_titles,
        "has no mart 'title_availability' any more; release 1 was the last with it (release 2)."
        " Public are: loan_labels, member_activity_daily. Or ask its owner to publish it again.",
    ),
    "never": (
        lambda teams: teams.readers.replace_in(
            SOURCES,
            "- name: title_availability\n",
            "- name: title_availability\n        identifier: titel_availability\n",
        ),
        "has no mart 'titel_availability' (release 1). Did you mean 'title_availability'?",
    ),
    "no terms": (
        no_terms,
        "[shared-terms-missing] Release 1 does not say who may use 'title_availability': an earlier"
        " martfeast wrote it. Have it published again with martfeast",
    ),
    "older": (
        lambda teams: teams.edit_release(lambda release: release.update(format=5)),
        "current.json cannot be used: it has format 5, of an older martfeast; this one reads 6."
        " Have its owner run `dbt build`: it writes the file anew, with martfeast",
    ),
    "newer": (
        lambda teams: teams.edit_release(lambda release: release.update(format=7)),
        "it has format 7, of a newer martfeast; this one reads 6. Use the martfeast that wrote it.",
    ),
    "edited": (
        lambda teams: (teams.library.published / "current.json").write_text(
            (teams.library.published / "current.json").read_text().replace('"public"', '"publik"')
        ),
        "[shared-release-unreadable]",
    ),
    "declared otherwise": (
        lambda teams: teams.edit_titles(lambda mart: mart["declared"]["node"].pop("columns")),
        "[entity-missing] No column is an entity, so nothing can be looked up. It is for"
        " lending@library.example to do: Give the key column",
    ),
    "unreadable": (
        lambda teams: teams.edit_titles(lambda mart: mart["declared"]["node"].pop("name")),
        "[shared-unreadable]",
    ),
    "elsewhere": (
        lambda teams: teams.readers.replace_in(SOURCES, "../library/out", "../libary/out"),
        "libary/out/published/current.json does not exist. Correct published_path, which is"
        " relative to dbt_project.yml.",
    ),
    "object store": (
        lambda teams: teams.readers.replace_in(SOURCES, "../library/out", "s3://library/out"),
        "s3://library/out/published is not on a file system",
    ),
    "other key": (
        lambda teams: teams.readers.replace_in(SOURCES, "feast: {", "feast: {owner: me, "),
        "[unknown-key] 'owner' is not a key here.",
    ),
    "no path": (
        lambda teams: teams.readers.replace_in(SOURCES, "published_path:", "release:"),
        "[not-a-model] A source cannot be a mart. Move meta.feast to a model on top of it; or, if a"
        " source is another project's mart, name the folder that it is published in:"
        " published_path.",
    ),
    "other bytes": (
        other_bytes,
        "has other bytes than were written. It is for lending@library.example to do: Remove it,"
        " then run `dbt build`: it publishes the mart anew.",
    ),
    "unreplayed": (
        unreplayed,
        "title_availability [replayed] No replay has shown that it never knew the future. It is for"
        " lending@library.example to do: Run `martfeast replay`.",
    ),
    "bare": (bare_column, "title_availability [described] No description: copies_free."),
    "untested": (untested_grain, "title_availability [grain_tested_unique]"),
    "own definition": (own_definition, "title_availability [grain_tested_unique]"),
    "label lineage": (
        lambda teams: teams.edit_titles(
            lambda mart: mart["lineage"].append(
                {"node": "model.library.loan_labels", "code_checksum": "", "compiled_checksum": ""}
            )
        ),
        "title_availability [no_label_upstream] It is built on label mart 'loan_labels'",
    ),
    "failed test": (
        lambda teams: teams.edit_titles(lambda mart: mart["tests"].pop()),
        "title_availability [tests_passed] Version",
    ),
    "other event time": (
        lambda teams: teams.readers.replace_in(
            SOURCES, "event_time: known_at", "event_time: published_at"
        ),
        "[shared-event-time] event_time is published_at, and its owner says that its rows were"
        " known at known_at. Set event_time: known_at under config of the table.",
    ),
    "no source": (
        lambda teams: teams.readers.replace_in(
            YAML, "      - source('library', 'title_availability')\n", ""
        ),
        "Add source('library', 'title_availability') to depends_on.",
    ),
    "name taken": (
        lambda teams: teams.readers.replace_in(
            SOURCES,
            "- name: loan_labels",
            "- name: branch_stock\n        identifier: title_availability\n"
            "      - name: loan_labels",
        ),
        "[name-duplicate] model.readers.branch_stock is already called 'branch_stock'. Give the"
        " table another name, and write the mart's under identifier.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_shared_is_refused_by_name(teams, name):
    change, message = REFUSED[name]
    before = {file: file.read_bytes() for file in teams.readers.path.glob("models/*")}
    change(teams)
    if any(file.read_bytes() != content for file, content in before.items()):
        assert teams.readers.dbt("parse").returncode == 0
    assert message in teams.refused()


def test_marts_that_only_models_read_are_held_to_the_same(teams):
    without = "      - source('library', 'title_availability')\n"
    teams.readers.replace_in(YAML, without, "")
    teams.readers.replace_in(
        YAML, "title_availability: [waiting_days, copies_free]\n            ", ""
    )
    access("protected")(teams)
    assert teams.readers.dbt("parse").returncode == 0
    assert "'title_availability' is protected" in teams.refused()
    teams.edit_titles(
        lambda mart: mart["sharing"].update(deprecation_date="2999-01-31", access="public")
    )
    assert "does not say what 'title_availability' declares" in teams.refused()


def test_what_the_owner_waived_is_waived_and_what_is_not_public_is_so_for_every_setting(teams):
    def waive(mart: Json) -> None:
        waiver = {"criterion": "described", "reason": "Being renamed.", "until": "2999-01-31"}
        mart["declared"]["node"]["columns"]["copies_free"]["description"] = ""
        mart["declared"]["node"]["config"]["meta"]["feast"]["waivers"] = [waiver]

    teams.edit_titles(waive)
    assert "Waived: Being renamed. (until 2999-01-31)" in teams.status()
    assert "ready: " in teams.status()
    access("protected")(teams)
    teams.readers.lower("access_public")
    assert teams.readers.dbt("parse").returncode == 0
    assert "'title_availability' is protected" in teams.refused()


def test_features_do_not_rest_on_a_label_that_another_team_shares(teams):
    teams.readers.replace_in("models/branch_stock.sql", TITLES, LABELS)
    assert teams.readers.dbt("parse").returncode == 0
    said = teams.refused()
    assert (
        "branch_stock [no_label_upstream] It is built on label mart 'library.loan_labels'" in said
    )
    # Nor do models take the moment when a loan began for the one when its label was known.
    assert (
        "event_time is not set, and its owner says that its rows were known at label_known_at"
        in said
    )


# What is going


# Text that JSON, SQL and YAML each write otherwise.
ODD = "Exemplaires « prêts » d'un \\ titre / \U0001f4d6"
VERSIONS = """
    latest_version: 2
    versions:
      - v: 1
        defined_in: title_availability
        deprecation_date: 2999-01-31
        config: {alias: title_availability}
      - v: 2
      - v: 3
"""


def test_newer_versions_and_the_end_of_the_old_one_are_told(teams):
    library, readers = teams.library, teams.readers
    head = "  - name: title_availability\n"
    library.replace_in(LIBRARY_YAML, head, head + VERSIONS.lstrip("\n"))
    library.replace_in(LIBRARY_YAML, "          online: true", "          start: 2026-03-01")
    library.replace_in(LIBRARY_YAML, "How many copies of a title", f"{ODD} of a title")
    library.replace_in("models/exposures.yml", f"ref('{TITLES}')", f"ref('{TITLES}', v=1)")
    marts = library.path / "models/marts"
    for version in (2, 3):
        shutil.copy(marts / f"{TITLES}.sql", marts / f"{TITLES}_v{version}.sql")
    assert library.dbt("build", "--select", f"+{TITLES}").returncode == 0
    library.replay()
    said = teams.status()
    assert (
        "warning: title_availability: library means to remove it: its deprecation date is"
        " 2999-01-31; there is title_availability_v2 (the latest) and title_availability_v3"
        " (a prerelease)" in said
    )
    assert "deprecation date 2999-01-31" in said.partition("shared by other projects")[2]
    (line,) = readers.said("build", "--select", STOCK)[:1]
    assert line.endswith("; its deprecation date is 2999-01-31")
    applied = readers.feast("apply")
    assert applied.returncode == 0
    assert "library means to remove it" in applied.stderr

    from feast import FeatureStore

    with readers.inside(readers.path):
        view = FeatureStore(str(readers.path / "feature_repo")).get_feature_view(TITLES)
    assert view.description.startswith(f"{ODD} of a title")
    assert view.tags["dbt_version"] == "1"
    assert view.tags["dbt_deprecation_date"].startswith("2999-01-31")
    assert view.tags["start"] == "2026-03-01T00:00:00"

    # The last day passes, and the readers move on; they may call it as before.
    teams.edit_titles(lambda mart: mart["sharing"].update(deprecation_date="2020-01-31"))
    said = teams.status()
    assert "its deprecation date, 2020-01-31, has passed: library may remove it any day" in said
    name = f"- name: {TITLES}\n"
    readers.replace_in(SOURCES, name, f"{name}        identifier: {TITLES}_v2\n")
    assert readers.dbt("parse").returncode == 0
    assert teams.shown()["notices"] == [
        "library has a newer version of it; there is title_availability_v3 (a prerelease)"
    ]
    # What is gone names what is left.
    readers.replace_in(SOURCES, f"identifier: {TITLES}_v2", f"identifier: {TITLES}_v9")
    assert readers.dbt("parse").returncode == 0
    assert f"has no mart '{TITLES}_v9'" in teams.refused()
    teams.edit_release(
        lambda release: release.update(
            marts=[one for one in release["marts"] if one["mart"] != TITLES], release_number=9
        )
    )
    readers.replace_in(SOURCES, f"        identifier: {TITLES}_v9\n", "")
    assert readers.dbt("parse").returncode == 0
    assert f"It has versions: take {TITLES}_v2 or {TITLES}_v3." in teams.refused()


def test_rows_that_the_owner_holds_back_are_told_and_the_last_good_ones_stay(teams):
    version = teams.titles()["version"]
    teams.library.replace_in("seeds/shelf_checks.csv", "south,10", ",10")
    assert teams.library.dbt("build", "--select", f"+{TITLES}").returncode == 1
    test = "test not_null_title_availability_branch_code failed (1)"
    reason = f"library holds back its present rows ({test})"
    assert teams.shown()["notices"] == [f"{reason}: version {version} stays"]
    assert f"warning: title_availability: {reason}: version {version} stays" in teams.status()
    (line,) = teams.readers.said("build", "--select", STOCK)[:1]
    assert f"is version {version}; its owner holds back newer rows: test not_null" in line
    # What is judged is the YAML that the version was published with.
    teams.library.replace_in(LIBRARY_YAML, "description: Copies on the shelf.", "description: ''")
    assert teams.library.dbt("test", "--select", TITLES).returncode == 1
    assert "not ready" not in teams.status()


def test_a_change_that_would_break_the_readers_stays_out_of_their_registry(teams):
    assert teams.readers.feast("apply").returncode == 0
    registry = teams.readers.registry.read_bytes()
    teams.library.replace_in(
        "models/marts/title_availability.sql", "as integer) as copies", "as bigint) as copies"
    )
    teams.library.replace_in(
        LIBRARY_YAML,
        "      - name: copies_free\n        data_type: integer",
        "      - name: copies_free\n        data_type: bigint",
    )
    assert teams.library.dbt("build", "--select", f"+{TITLES}").returncode == 0
    teams.library.replay()
    refused = teams.readers.feast("apply")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert (
        "Exposure 'reading_advice' uses what is registered, and feature copies_free was Int32 and"
        " is Int64. It is for lending@library.example to do: Leave this model as it is and make the"
        " change in a new model version" in " ".join(refused.stderr.split())
    )
    assert teams.readers.registry.read_bytes() == registry


# Models on what is shared


def test_models_read_the_version_that_holds_when_they_are_built(teams):
    readers = teams.readers
    copies, stock = (
        f"select sum(copies_free) from library.{TITLES}",
        f"select count(*) from {STOCK}",
    )
    assert (teams.read(copies), teams.read(stock)) == ([(12,)], [(3,)])
    teams.check_shelves(4)
    assert teams.library.dbt("build", "--select", f"+{TITLES}").returncode == 0
    version = teams.titles()["version"]
    # A test is of the rows that models were built from, and so leaves the view.
    assert readers.dbt("test", "--select", STOCK).returncode == 0
    assert teams.read(copies) == [(12,)]
    assert readers.said("build", "--select", STOCK)[0] == (
        f"source library.title_availability is version {version}"
    )
    assert teams.read(copies) == [(17,)]
    assert teams.read(stock) == [(4,)]
    # The code is the same that both teams have replayed.
    assert "ready: " in teams.status()


STOPPED = {
    "protected": (
        access("protected"),
        "it is protected in the project that owns it. Nothing was built. Next: ask group lending"
        " there to set access: public.",
    ),
    "no terms": (no_terms, "does not say who may use it, because an earlier martfeast wrote it"),
    "gone": (without_titles, "has no mart title_availability. Nothing was built."),
    "other bytes": (other_bytes, "is gone, or has other bytes than were published"),
    "older": (
        lambda teams: teams.edit_release(lambda release: release.update(format=5)),
        "current.json is missing, damaged or of another martfeast",
    ),
    "unpublished": (
        lambda teams: teams.edit_titles(
            lambda mart: mart.update(version=None, path=None, held_back=["test x failed (1)"])
        ),
        "no version of it is published: test x failed (1)",
    ),
}


@pytest.mark.parametrize("name", STOPPED)
def test_a_build_on_what_cannot_be_shared_stops_before_anything_is_built(teams, name):
    change, message = STOPPED[name]
    change(teams)
    done = teams.readers.dbt("build", "--select", STOCK)
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "Source library.title_availability cannot be read: " in said
    assert message in said
    assert "Traceback" not in said
    assert "table model" not in said  # nothing was started
    # What does not read it is built as ever.
    assert teams.readers.dbt("run", "--select", "package:martfeast").returncode == 0
