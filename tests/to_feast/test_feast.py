"""From marts to features by the real dbt and Feast commands, with values worked out by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pandas as pd
import pytest
from martfeast import read_declaration

SERVICE = "overdue_prediction"


@pytest.fixture(scope="module")
def applied(built_library, tmp_path_factory):
    """Plan and apply from a folder that has nothing to do with the project."""
    library = built_library.copy_to(tmp_path_factory.mktemp("applied") / "project")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    plan = library.feast("plan", cwd=elsewhere)
    assert plan.returncode == 0, plan.stderr
    assert f"Created feature service {SERVICE}" in plan.stdout.replace("\x1b[0m", "")
    apply = library.feast("apply", cwd=elsewhere)
    assert apply.returncode == 0, apply.stderr
    return library


@pytest.fixture(scope="module")
def store(applied):
    from feast import FeatureStore

    return FeatureStore(str(applied.path / "feature_repo"))


def test_views_carry_what_the_marts_declare(applied, store):
    assert {view.name for view in store.list_feature_views()} == {
        "member_activity_daily",
        "title_availability",
    }
    view = store.get_feature_view("member_activity_daily")
    assert view.description == (
        "What each member borrowed over the last 30 days, at the end of every day with a visit."
    )
    assert view.owner == "lending@library.example"
    assert view.tags == {
        "dbt_unique_id": "model.library.member_activity_daily",
        "dbt_group": "lending",
    }
    assert view.ttl == timedelta(days=7)
    assert view.online
    assert view.entities == ["member"]
    record = applied.published_mart("member_activity_daily")
    assert view.batch_source.path == str(applied.published / record["path"])
    assert view.batch_source.timestamp_field == "known_at"
    assert view.batch_source.created_timestamp_column == "published_at"
    assert {field.name: str(field.dtype) for field in view.features} == {
        "loan_count_30d": "Int64",
        "overdue_share_30d": "Float64",
        "is_student": "Bool",
        "favourite_genres": "Array(String)",
        "last_visit_at": "UnixTimestamp",
    }
    descriptions = {field.name: field.description for field in view.schema}
    assert descriptions["loan_count_30d"] == "Loans in the last 30 days."
    assert descriptions["member_id"] == "The member's number."


def test_a_view_of_two_entities_without_expiry(store):
    view = store.get_feature_view("title_availability")
    assert view.entities == ["branch", "title"]
    assert view.ttl == timedelta(0)
    assert {field.name: str(field.dtype) for field in view.schema} == {
        "branch_code": "String",
        "title_id": "Int32",
        "copies_free": "Int32",
        "waiting_days": "Float32",
    }


def test_entities_and_service(store):
    entities = {entity.name: entity for entity in store.list_entities() if entity.name[0] != "_"}
    assert {name: (e.join_key, e.value_type.name) for name, e in entities.items()} == {
        "member": ("member_id", "INT64"),
        "branch": ("branch_code", "STRING"),
        "title": ("title_id", "INT32"),
    }
    assert entities["title"].description == "The title."
    service = store.get_feature_service(SERVICE)
    assert service.owner == "Reader services"
    assert service.tags == {
        "dbt_unique_id": f"exposure.library.{SERVICE}",
        "maturity": "low",
        "url": "https://library.example/overdue",
        "label": "loan_labels.is_overdue",
    }
    assert [
        (projection.name, [field.name for field in projection.features])
        for projection in service.feature_view_projections
    ] == [
        ("title_availability", ["waiting_days", "copies_free"]),
        (
            "member_activity_daily",
            [
                "loan_count_30d",
                "overdue_share_30d",
                "is_student",
                "favourite_genres",
                "last_visit_at",
            ],
        ),
    ]


def test_applying_again_changes_nothing(applied):
    again = applied.feast("apply")
    assert "No changes to registry" in again.stdout


def test_training_set_from_the_declaration(applied, store):
    exposure = read_declaration(applied.path).exposures[SERVICE]
    mart = exposure.label_mart
    assert mart is not None
    keys = [*mart.entity_columns, mart.timestamp]
    assert keys == ["member_id", "branch_code", "title_id", "predicted_at"]
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        spine = connection.execute(
            f"select * replace (predicted_at at time zone 'UTC' as predicted_at)"
            f" from '{mart.path}' order by predicted_at, member_id"
        ).df()
    assert spine[mart.label.column].tolist()[:3] == [False, True, False]
    assert pd.isna(spine[mart.label.column].iloc[3])
    assert spine[mart.label.missing_reason].iloc[3] == "not_returned"
    assert spine[mart.label.known_at].iloc[0] == pd.Timestamp("2026-03-10 12:00")

    found = store.get_historical_features(
        entity_df=spine[keys], features=store.get_feature_service(SERVICE)
    ).to_df()
    found = found.sort_values(["predicted_at", "member_id"], ignore_index=True)
    assert set(exposure.features) <= set(found.columns)

    # Loan 1 begins at the very moment a row of member 1 became known: that row counts.
    # Loan 2 sees the branch south, and not yet the member's row of March 9.
    # Loan 4 begins 6 days and 23:59:59 after the member's row, a second inside its 7 days.
    assert found["loan_count_30d"].tolist() == [3, 3, 1, 1]
    assert found["copies_free"].tolist() == [4, 1, 7, 1]
    assert found["waiting_days"].fillna(-1).tolist() == [0.5, 1.5, -1, 1.5]
    assert found["overdue_share_30d"].fillna(-1).tolist() == [0.25, 0.25, -1, -1]
    assert found["is_student"].tolist() == [True, True, False, False]
    assert [list(genres) for genres in found["favourite_genres"]] == [
        ["crime"],
        ["crime"],
        ["history"],
        ["history"],
    ]
    assert found["last_visit_at"].iloc[0] == pd.Timestamp("2026-03-01 17:30")


def test_expired_and_future_rows_are_not_seen(store):
    times = [
        "2026-02-28 23:59:59",
        "2026-03-01 00:00:00",
        "2026-03-09 00:00:00",
        "2026-03-16 00:00:01",
    ]
    asked = pd.DataFrame({"member_id": 1, "event_timestamp": pd.to_datetime(times, utc=True)})
    found = store.get_historical_features(
        entity_df=asked, features=["member_activity_daily:loan_count_30d"]
    ).to_df()
    found = found.sort_values("event_timestamp")["loan_count_30d"]
    assert found.fillna(-1).tolist() == [-1, 2, 9, -1]


def test_online_equals_offline(store):
    store.materialize(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC))
    keys = {
        "member_id": [1, 2],
        "branch_code": ["north", "south"],
        "title_id": [10, 10],
    }
    service = store.get_feature_service(SERVICE)
    online = store.get_online_features(
        features=service,
        entity_rows=[dict(zip(keys, row, strict=True)) for row in zip(*keys.values(), strict=True)],
    ).to_dict()
    # Feast serves online values past their TTL too, so offline is asked within every TTL.
    asked = pd.DataFrame({**keys, "event_timestamp": pd.Timestamp("2026-03-09", tz="UTC")})
    offline = store.get_historical_features(entity_df=asked, features=service).to_df()
    offline = offline.sort_values("member_id")
    for projection in service.feature_view_projections:
        for feature in (field.name for field in projection.features):
            assert [_plain(value) for value in online[feature]] == [
                _plain(value) for value in offline[feature]
            ], feature


def _plain(value: Any) -> object:
    """Return what two stores mean alike: lists, nulls, and times in UTC without zone."""
    if hasattr(value, "__len__") and not isinstance(value, str):
        return list(value)
    if pd.isna(value):
        return None
    if isinstance(value, datetime):
        return pd.Timestamp(value).replace(tzinfo=None)
    return value


def test_a_broken_declaration_leaves_the_registry_as_it_was(applied, tmp_path):
    library = applied.copy_to(tmp_path / "project")
    before = library.registry.read_bytes()
    library.replace_in("models/marts/_marts__models.yml", "7 days", "2 dyas")
    library.replace_in("models/exposures.yml", "copies_free", "copies_fre")
    (library.published / library.published_mart("loan_labels")["path"]).unlink()
    assert library.dbt("parse").returncode == 0
    result = library.feast("apply", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("martfeast: 3 problems; nothing was changed.\n")
    for rule in ("ttl-unreadable", "feature-unknown", "published"):
        assert f"[{rule}]" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert library.registry.read_bytes() == before
