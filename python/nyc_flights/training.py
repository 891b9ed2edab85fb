"""Train and judge a model of late arrivals on features from Feast.

``martfeast dataset late_arrival_prediction --test-from 2013-10-01`` builds the training set.
``python -m nyc_flights.training`` reads the newest such, and writes ``data/report/``: report.json,
report.md, calibration.png, precision_recall.png, and how evenly the model serves the groups of the
label mart, fairness.json and fairness.md.

The model learns from labels that were known when the test period began, so no arrival is used
before it happened.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import martfeast
import matplotlib
import numpy as np
import pandas as pd
from martfeast.datasets.folder import find_datasets
from martfeast.datasets.record import DatasetRecord
from martfeast.fairness import FairnessReport, judge_fairness
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    precision_recall_curve,
    roc_auc_score,
)

matplotlib.use("Agg")
from matplotlib import pyplot as plt

PROJECT = Path(__file__).parents[2]
SERVICE = "late_arrival_prediction"
MODEL = "gradient boosting"
FEWEST_FLIGHTS = 500
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class TrainingSet:
    """Rows to learn from and to judge on, one per flight and prediction time.

    record: of the dataset that they are from. features: one numeric column per feature, in the
    feature service's order. labels: 1 for a late arrival, 0 otherwise. groups: what to judge
    fairness by, one column of texts per group column of the label mart.
    is_train: True where the label was known when the test period began.
    """

    record: DatasetRecord
    features: pd.DataFrame
    labels: "pd.Series[int]"
    groups: pd.DataFrame
    is_train: "pd.Series[bool]"


def read_training_set(path: Path, record: DatasetRecord) -> TrainingSet:
    """Read the train and test rows of a dataset that ``martfeast dataset`` built with a split.

    Args:
        path: the dataset's folder.
        record: its dataset.json.

    """
    groups = record.inputs.groups
    as_texts = ", ".join(f"cast({name} as varchar) as {name}" for name in groups)
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select * replace ({as_texts}) from read_parquet($path)"
            " where split in ('train', 'test')",
            {"path": str(path / record.file.name)},
        ).df()
    features = [column.name for column in record.columns if column.role == "feature"]
    return TrainingSet(
        record=record,
        features=rows[features].astype("float64"),
        labels=rows[record.label.column].astype("int64"),
        groups=rows[groups],
        is_train=rows["split"] == "train",
    )


def predict(training_set: TrainingSet) -> tuple[dict[str, Scores], float]:
    """Fit the model and two baselines on the train rows; score the test rows.

    Returns:
        The predicted probability of a late arrival for each test row, by the name of the predictor:
        the base rate of the train rows, the carrier's rate in them, and gradient boosting. And the
        model's threshold: it flags as large a share of the train rows as are late among them.

    """
    train, test = training_set.is_train, ~training_set.is_train
    labels = training_set.labels[train]
    base_rate = float(labels.mean())
    carriers = training_set.groups["carrier_code"]
    carrier_rates = labels.groupby(carriers[train]).mean()
    model = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.06, max_leaf_nodes=31, min_samples_leaf=50, random_state=13
    ).fit(training_set.features[train], labels)
    train_scores = model.predict_proba(training_set.features[train])[:, 1]
    predictions = {
        "base rate": np.full(int(test.sum()), base_rate),
        "carrier average": carriers[test].map(carrier_rates).fillna(base_rate).to_numpy(),
        MODEL: model.predict_proba(training_set.features[test])[:, 1],
    }
    return predictions, float(np.quantile(train_scores, 1 - base_rate))


def judge(labels: "pd.Series[int]", predictions: dict[str, Scores]) -> dict[str, dict[str, float]]:
    """Return each predictor's AUC, average precision, Brier score and mean prediction."""
    return {
        name: {
            "auc": float(roc_auc_score(labels, scores)),
            "average_precision": float(average_precision_score(labels, scores)),
            "brier_score": float(brier_score_loss(labels, scores)),
            "mean_prediction": float(scores.mean()),
        }
        for name, scores in predictions.items()
    }


def draw(folder: Path, labels: "pd.Series[int]", predictions: dict[str, Scores]) -> None:
    """Write calibration.png and precision_recall.png."""
    model = predictions[MODEL]
    observed, predicted = calibration_curve(labels, model, n_bins=10, strategy="quantile")
    figure, axes = plt.subplots(figsize=(5, 5), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfectly calibrated")
    axes.plot(predicted, observed, marker="o", label="gradient boosting, tenths of the test rows")
    axes.set(
        xlabel="predicted share of late arrivals",
        ylabel="observed share of late arrivals",
        title="Calibration on the test quarter",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(loc="upper left")
    figure.savefig(folder / "calibration.png", dpi=120)

    figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
    for name, scores in predictions.items():
        precision, recall, _ = precision_recall_curve(labels, scores)
        axes.plot(recall, precision, label=name, drawstyle="steps-post")
    axes.set(
        xlabel="recall: share of late arrivals found",
        ylabel="precision: share of alarms that were late",
        title="Precision and recall on the test quarter",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(loc="upper right")
    figure.savefig(folder / "precision_recall.png", dpi=120)
    plt.close("all")


def write_report(folder: Path, report: dict[str, Any]) -> None:
    """Write report.json, and report.md to read."""
    lines = [
        "# Late arrivals: how good the example model is",
        "",
        f"Trained on {report['train_rows']:,} flights of dataset {report['dataset']} whose outcome"
        f" was known before {report['test_from']}, judged on {report['test_rows']:,} flights after"
        f" it. Late arrivals among the test flights: {report['test_late_share']:.1%}.",
        "",
        "| predictor | AUC | average precision | Brier score | mean prediction |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {name} | {scores['auc']:.3f} | {scores['average_precision']:.3f}"
            f" | {scores['brier_score']:.3f} | {scores['mean_prediction']:.3f} |"
            for name, scores in report["scores"].items()
        ),
        "",
        "![Calibration](calibration.png) ![Precision and recall](precision_recall.png)",
        "",
        "Cancelled and diverted flights have no label and are in neither set. What that hides,"
        " and how evenly the model serves carriers, airports and other groups:"
        " [fairness.md](fairness.md) (and fairness.json).",
        "",
        f"Features, all from the Feast feature service `{SERVICE}`:",
        "",
        *(f"- {feature}" for feature in report["features"]),
    ]
    (folder / "report.md").write_text("\n".join(lines) + "\n")
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")


def count_missing_labels(mart: martfeast.LabelMart, test_from: datetime) -> pd.DataFrame:
    """Count the test period's flights without a label, in each level of each group column.

    A cancelled or diverted flight is worse than late, and yet not counted as late. Had all of them
    been on time, or all late, the late share of all scheduled flights would be at its bounds.

    Args:
        mart: the label mart.
        test_from: when the test period began, UTC without zone; all rows from then on are counted.

    Returns:
        One row per group column and level (a null one is "(none)"), most missing first: scheduled,
        late, cancelled, diverted, missing (all without a label), as flights; missing_share and the
        bounds late_share_low and late_share_high, of scheduled; late_share, of those with a label,
        null if there are none.

    """
    label = mart.label
    counts = " union all ".join(
        f"""
        select
            '{column}' as group_column,
            coalesce(cast({column} as varchar), '(none)') as level,
            count(*) as scheduled,
            count(*) filter ({label.column}) as late,
            count(*) filter ({label.missing_reason} = 'cancelled') as cancelled,
            count(*) filter ({label.missing_reason} = 'diverted') as diverted,
            count(*) filter ({label.column} is null) as missing
        from test_period
        group by all
        """
        for column in label.groups
    )
    with duckdb.connect() as connection:
        return connection.execute(
            f"""
            with test_period as (
                select * from read_parquet($path) where {mart.timestamp} >= $test_from
            )
            select
                *,
                missing / scheduled as missing_share,
                late / scheduled as late_share_low,
                (late + missing) / scheduled as late_share_high,
                late / nullif(scheduled - missing, 0) as late_share
            from ({counts})
            order by group_column, missing_share desc, level
            """,
            {"path": str(mart.path), "test_from": test_from},
        ).df()


def write_fairness(
    folder: Path, fairness: FairnessReport, missing: pd.DataFrame, test_from: datetime
) -> None:
    """Write fairness.json, and fairness.md to read; missing is from count_missing_labels."""
    whole = missing.groupby("group_column", sort=False).sum(numeric_only=True).iloc[0]
    large = missing[missing["scheduled"] >= FEWEST_FLIGHTS]
    worst = large.groupby("group_column", sort=False).head(1)
    lines = [
        "# Late arrivals: how evenly the example model serves",
        "",
        f"Judged on the test flights, from {test_from:%Y-%m-%d}, that arrived. A true label is a"
        f" late arrival. A flight is flagged from a score of {fairness.threshold:.3f}: above it are"
        " as large a share of the train flights as were late.",
        "",
        *(f"- {sentence}" for sentence in fairness.sentences()),
        "",
        "## Flights that never get a label",
        "",
        f"Of {whole.scheduled:,.0f} flights scheduled in the test period, {whole.cancelled:,.0f}"
        f" were cancelled and {whole.diverted:,.0f} diverted: {whole.missing / whole.scheduled:.1%}"
        " never get a label. The model learns from and is judged on flights that arrived, so"
        " everything above is about those. For a passenger a cancelled flight is worse than a late"
        " one, and it counts as neither late nor missed by the model. The late share of all"
        " scheduled flights lies between two bounds: had every flight without a label been on"
        " time, and had every one been late.",
        "",
        *(
            f"- {row.group_column}: {row.level} loses the largest share, {row.missing:,} of"
            f" {row.scheduled:,} ({row.missing_share:.1%}; {row.cancelled:,} cancelled,"
            f" {row.diverted:,} diverted). Of those that arrived {row.late_share:.1%} were late;"
            f" of all scheduled it is between {row.late_share_low:.1%} and"
            f" {row.late_share_high:.1%}."
            for row in worst.itertuples()
        ),
        "",
        f"Named are levels with {FEWEST_FLIGHTS} scheduled flights or more; here are all:",
        "",
        "| group | level | scheduled | cancelled | diverted | without a label | late, of arrived"
        " | late, of scheduled: at least | at most |",
        "| --- | --- |" + " ---: |" * 7,
        *(
            f"| {row.group_column} | {row.level} | {row.scheduled:,} | {row.cancelled:,}"
            f" | {row.diverted:,} | {row.missing_share:.1%} | {row.late_share:.1%}"
            f" | {row.late_share_low:.1%} | {row.late_share_high:.1%} |"
            for row in missing.itertuples()
        ),
        "",
        "## All levels",
        "",
        fairness.as_markdown(),
    ]
    # A level of which nothing arrived has no late share.
    (folder / "fairness.md").write_text("\n".join(lines).replace("nan%", "-"))
    report = {
        "fairness": fairness.as_json(),
        "without_label": json.loads(missing.to_json(orient="records")),
    }
    (folder / "fairness.json").write_text(json.dumps(report, indent=2) + "\n")


def main() -> int:
    """Train, judge and report; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m nyc_flights.training")
    parser.add_argument("--report", type=Path, default=PROJECT / "data" / "report")
    options = parser.parse_args()
    try:
        declaration = martfeast.read_declaration(PROJECT)
    except martfeast.DeclarationError as error:
        print(error, file=sys.stderr)
        return 1
    exposure = declaration.exposures.get(SERVICE)
    mart = exposure.label_mart if exposure else None
    found = [
        (path, record)
        for path, record in find_datasets(PROJECT / "data/datasets" / SERVICE)
        if record.inputs.test_from
    ]
    if mart is None or not found:
        command = f"martfeast dataset {SERVICE} --test-from 2013-10-01"
        print(f"No dataset with a train and a test part. Run `{command}`.", file=sys.stderr)
        return 1
    training_set = read_training_set(*found[-1])
    record = training_set.record
    test_from = datetime.fromisoformat(record.inputs.test_from or "").replace(tzinfo=None)
    test_labels = training_set.labels[~training_set.is_train]
    predictions, threshold = predict(training_set)
    report = {
        "feature_service": SERVICE,
        "dataset": record.saved_dataset,
        "label": record.inputs.label,
        "test_from": f"{test_from:%Y-%m-%d}",
        "train_rows": int(training_set.is_train.sum()),
        "test_rows": len(test_labels),
        "test_late_share": float(test_labels.mean()),
        "scores": judge(test_labels, predictions),
        "features": list(training_set.features.columns),
    }
    options.report.mkdir(parents=True, exist_ok=True)
    draw(options.report, test_labels, predictions)
    write_report(options.report, report)
    fairness = judge_fairness(
        test_labels,
        predictions[MODEL],
        training_set.groups[~training_set.is_train],
        threshold,
        FEWEST_FLIGHTS,
    )
    missing = count_missing_labels(mart, test_from)
    write_fairness(options.report, fairness, missing, test_from)
    print(f"Report: {options.report}/report.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
