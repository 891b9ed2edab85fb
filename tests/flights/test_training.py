"""The example training script: rows without a label, counted by hand."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
from martfeast.datasets.record import DatasetRecord
from nyc_flights.training import count_missing_labels, read_training_set

TEST_FROM = datetime(2013, 10, 1)


def label_mart(path):
    """Two carriers after the test period began; UA has a flight before it too."""
    rows = {
        "flight_id": [1, 2, 3, 4, 5, 6],
        "carrier_code": ["UA", "UA", "UA", "UA", "DL", "UA"],
        "is_aircraft_known": [True, True, False, None, True, True],
        "predicted_at": [pd.Timestamp("2013-10-01")] * 5 + [pd.Timestamp("2013-09-30 23:59")],
        "is_late_arrival": [True, False, None, None, False, None],
        "label_known_at": [pd.Timestamp("2013-10-02")] * 6,
        "no_label_reason": [None, None, "cancelled", "diverted", None, "cancelled"],
    }
    types = {"is_late_arrival": "boolean", "is_aircraft_known": "boolean"}
    pd.DataFrame(rows).astype(types).to_parquet(path)
    label = SimpleNamespace(
        column="is_late_arrival",
        known_at="label_known_at",
        missing_reason="no_label_reason",
        groups=["carrier_code", "is_aircraft_known"],
    )
    keys = ["flight_id", "carrier_code"]
    return SimpleNamespace(path=path, timestamp="predicted_at", entity_columns=keys, label=label)


def test_missing_labels_are_counted_and_bound_the_late_share(tmp_path):
    counts = count_missing_labels(label_mart(tmp_path / "labels.parquet"), TEST_FROM)
    by_level = counts.set_index(["group_column", "level"])
    columns = ["scheduled", "late", "cancelled", "diverted", "missing"]
    assert by_level[columns].apply(tuple, axis=1).to_dict() == {
        ("carrier_code", "UA"): (4, 1, 1, 1, 2),
        ("carrier_code", "DL"): (1, 0, 0, 0, 0),
        ("is_aircraft_known", "(none)"): (1, 0, 0, 1, 1),
        ("is_aircraft_known", "false"): (1, 0, 1, 0, 1),
        ("is_aircraft_known", "true"): (3, 1, 0, 0, 0),
    }
    united: Any = by_level.loc["carrier_code", "UA"]
    unknown: Any = by_level.loc["is_aircraft_known", "false"]
    assert (united["missing_share"], united["late_share"]) == (0.5, 0.5)
    assert (united["late_share_low"], united["late_share_high"]) == (0.25, 0.75)
    assert pd.isna(unknown["late_share"])


def test_the_training_set_has_the_groups_under_the_names_of_the_counts(tmp_path):
    rows = {
        "carrier_code": ["UA", "DL", "UA"],
        "is_aircraft_known": [True, None, False],
        "is_late_arrival": [True, False, True],
        "feature": [1, None, 3],
        "split": ["train", "between", "test"],
    }
    pd.DataFrame(rows).astype({"is_aircraft_known": "boolean"}).to_parquet(
        tmp_path / "data.parquet"
    )
    record = SimpleNamespace(
        inputs=SimpleNamespace(groups=["carrier_code", "is_aircraft_known"]),
        file=SimpleNamespace(name="data.parquet"),
        label=SimpleNamespace(column="is_late_arrival"),
        columns=[
            SimpleNamespace(name="feature", role="feature"),
            SimpleNamespace(name="split", role="split"),
        ],
    )
    training_set = read_training_set(tmp_path, cast(DatasetRecord, record))
    assert training_set.groups["is_aircraft_known"].tolist() == ["true", "false"]
    assert training_set.is_train.tolist() == [True, False]
    assert training_set.labels.tolist() == [1, 1]
    assert training_set.features["feature"].tolist() == [1.0, 3.0]
