"""One repository with marts of every shape that dbt has, taken all the way, and then a day on.

dbt is started in the repository's root, its project is in one subfolder, its profiles are in
another and the feature repo in a third. Each mart stands for a shape that breaks a step of its own.
"""

import json
import shutil
from pathlib import Path

import duckdb
import numpy
import pandas
import pytest
from conftest import REPOSITORY, BuildOnce, Library
from feast import FeatureStore
from martfeast.datasets.record import DatasetRecord

# The feature view of each mart, its table in the warehouse, and what it is there for.
SHAPES = {
    "bike_totals_merged": "main.bike_totals_merged",  # incremental by merge
    "rides_by_batch": "main.rides_by_batch",  # incremental by microbatch
    "station_sizes": "main.station_sizes",  # on a snapshot
    "last_rides": "operations.last_rides",  # a schema and an alias of its own, a list
    "bike_wear_v1": "main.bike_wear_v1",  # two versions of a model
    "bike_wear_v2": "main.bike_wear_v2",
    "StationLoad": "main.StationLoad",  # names in capitals
    "station_days": "main.station_days",  # on facts that have a date
    "scored_rides": "main.scored_rides",  # on a Python model
}
UNREPLAYED = {"scored_rides"}
LABELS = "long_ride_labels"  # whose rows have a key that is no entity
TO_REPO = ["--feature-repo", "ml/feature_repo"]
PLACES = ["--project-dir", "transform", "--profiles-dir", "config"]
TOMORROW = "2026-06-25"
NEW_RIDES = "241,2,south,2026-06-25 09:00:00,2026-06-25 10:40:00\n"
NEW_RIDES += "242,3,west,2026-06-25 09:30:00,2026-06-25 09:50:00\n"


class Rentals(Library):
    """The repository; its commands start in its root."""

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "RENTALS_WAREHOUSES": str(self.path)}

    def run_dbt(self, *arguments: str, target: str = "prod") -> str:
        result = self.dbt(*arguments, *PLACES, "--target", target)
        assert result.returncode == 0, result.stdout
        return result.stdout

    def run_martfeast(self, command: str, *arguments: str) -> str:
        result = self.martfeast(command, *arguments, *PLACES, cwd=self.path)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def run_feast(self, *arguments: str) -> str:
        result = self.run("feast", "-c", "ml/feature_repo", *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def rows(self, sql: str, target: str = "prod") -> pandas.DataFrame:
        path = str(self.path / f"{target}.duckdb")
        with duckdb.connect(path, read_only=True) as connection:
            return connection.execute(sql).df()

    @property
    def published(self) -> Path:
        return self.path / "data/published"

    def latest(self, view: str) -> list[tuple[object, ...]]:
        """The last row of each key of a mart, as the warehouse has it; keys first."""
        found = FeatureStore(str(self.path / "ml/feature_repo")).get_feature_view(view)
        keys = ", ".join(column.name for column in found.entity_columns)
        features = ", ".join(column.name for column in found.features)
        assert found.batch_source is not None
        time = found.batch_source.timestamp_field
        return plain(
            self.rows(
                f"select {keys}, {features} from {SHAPES[view]} qualify row_number()"
                f" over (partition by {keys} order by {time} desc) = 1"
                f" order by {keys}"
            )
        )

    def served(self, view: str) -> list[tuple[object, ...]]:
        """The same from the online store."""
        store = FeatureStore(str(self.path / "ml/feature_repo"))
        found = store.get_feature_view(view)
        keys = [column.name for column in found.entity_columns]
        features = [column.name for column in found.features]
        asked = [dict(zip(keys, row, strict=False)) for row in self.latest(view)]
        names = [f"{view}:{name}" for name in features]
        return plain(store.get_online_features(names, asked).to_df()[[*keys, *features]])


def plain(frame: pandas.DataFrame) -> list[tuple[object, ...]]:
    """Rows as Python has them, moments in UTC without zone."""
    for name in frame.select_dtypes("datetimetz"):
        frame[name] = frame[name].dt.tz_localize(None)
    for name in frame.columns[frame.map(lambda value: isinstance(value, numpy.ndarray)).any()]:
        frame[name] = frame[name].map(list)
    return [*frame.itertuples(index=False, name=None)]


@pytest.fixture(scope="module")
def rentals(build_once: BuildOnce) -> Rentals:
    """The repository as far as the online store and a training set; tests read it only."""

    def build(path: Path) -> None:
        ignored = shutil.ignore_patterns("target", "logs", "dbt_packages", "data", "*.duckdb")
        shutil.copytree(REPOSITORY / "tests/projects/rentals", path, ignore=ignored)
        package = REPOSITORY / "python/martfeast/dbt_package"
        (path / "transform/packages.yml").write_text(f"packages:\n  - local: {package}\n")
        made = Rentals(path)
        made.run_dbt("deps")
        made.run_dbt("build")
        replayed = made.martfeast("replay", "--target", "prod", *PLACES, cwd=path)
        assert replayed.stdout.splitlines()[-1] == f"failed: {', '.join(UNREPLAYED)}"
        made.run_feast("apply")
        made.run_martfeast("materialize", *TO_REPO)
        made.run_martfeast("dataset", "long_rides", *TO_REPO, "--target", "prod")

    return Rentals(build_once("rentals", build))


@pytest.fixture
def copy(rentals: Rentals, tmp_path: Path) -> Rentals:
    path = tmp_path / "rentals"
    shutil.copytree(rentals.path, path)
    made = Rentals(path)
    made.run_martfeast("reroot", *TO_REPO)
    return made


def test_every_shape_is_proven_and_served_as_the_warehouse_has_it(rentals):
    records = json.loads((rentals.published / "replays.json").read_text())["marts"]
    for view in [*SHAPES, LABELS]:
        record = records[rentals.published_mart(view)["unique_id"]]
        if view in UNREPLAYED:
            assert "It is a Python model, and a replay runs SQL." in record["failure"]
        else:
            assert not record["failure"]
            assert record["compared"] > 0
    for view in SHAPES:
        assert rentals.served(view) == rentals.latest(view)


def test_labels_with_a_key_of_their_own_become_a_training_set(rentals):
    path = rentals.path / "data/datasets/long_rides/0001"
    record = DatasetRecord.read(path / "dataset.json")
    rows = pandas.read_parquet(path / "data.parquet")
    assert [step.rows for step in record.steps][-1] == len(rows) == rows["ride_id"].nunique()
    # What was known when each ride began, from the warehouse itself.
    expected = rentals.rows(
        "select label.ride_id, totals.ride_count from long_ride_labels as label"
        " asof left join bike_totals_merged as totals"
        " on label.bike_id = totals.bike_id and label.predicted_at >= totals.ended_at"
        " order by label.ride_id"
    )
    found = rows.sort_values("ride_id")["ride_count"]
    assert found.astype("Int64").tolist() == expected["ride_count"].astype("Int64").tolist()


def test_a_day_on_incremental_marts_stand_as_if_built_anew_and_need_no_replay(copy):
    before = {view: copy.latest(view) for view in SHAPES}
    with (copy.path / "transform/seeds/raw_rides.csv").open("a") as rides:
        rides.write(NEW_RIDES)
    copy.run_dbt("build", "--event-time-start", TOMORROW, "--event-time-end", "2026-06-26")
    assert not [mart["held_back"] for mart in copy.release()["marts"] if mart["held_back"]]
    assert "ready: " in copy.run_martfeast("status", *TO_REPO, "--target", "prod")
    incremental = {
        view: copy.rows(f"from {SHAPES[view]} order by all")
        for view in ("bike_totals_merged", "rides_by_batch")
    }
    copy.run_feast("apply")
    copy.run_martfeast("materialize", *TO_REPO)
    for view in SHAPES:
        assert copy.served(view) == copy.latest(view)
        assert (copy.latest(view) == before[view]) == (view in ("station_sizes", "station_days"))
    copy.run_dbt("build", "--full-refresh")
    for view, rows in incremental.items():
        pandas.testing.assert_frame_equal(rows, copy.rows(f"from {SHAPES[view]} order by all"))


def test_another_target_publishes_beside_the_one_that_feeds_feast(copy):
    published, release = copy.published_bytes(), copy.release()
    copy.run_dbt("seed", target="dev")
    with (copy.path / "transform/seeds/raw_rides.csv").open("a") as rides:
        rides.write(NEW_RIDES)
    copy.run_dbt("build", target="dev")
    assert copy.published_bytes() == published
    assert json.loads((copy.path / "data/dev/current.json").read_text())["target"] == "dev"
    assert release["target"] == "prod"
    # The last build was dev's; what is applied is prod's.
    said = copy.run_martfeast("status", *TO_REPO, "--target", "prod")
    assert "ready: " in said
