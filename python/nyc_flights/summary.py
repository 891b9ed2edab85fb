"""Say in a few lines what `make run` built, and what to try next."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import martfeast
from martfeast.datasets.folder import find_datasets

PROJECT = Path(__file__).parents[2]


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text())


def summary(project: Path) -> str:
    """Return the summary of the last run of each step, from what the steps left behind.

    Args:
        project: the root folder, with data/ and target/ as `make run` leaves them.

    Raises:
        FileNotFoundError: a step has not run yet.

    """
    landing = read_json(project / "data/landed/current/landing.json")
    published = read_json(project / "data/published/current.json")["marts"]
    results = read_json(project / "data/stamps/build_results.json")["results"]
    statuses = Counter((r["unique_id"].split(".")[0], r["status"]) for r in results)
    tests_passed = statuses["test", "pass"] + statuses["unit_test", "pass"]
    tests = sum(n for (kind, _), n in statuses.items() if kind in ("test", "unit_test"))
    warned = f", {statuses['test', 'warn']} warned" if statuses["test", "warn"] else ""
    report = read_json(project / "data/report/report.json")
    dataset, record = find_datasets(project / "data/datasets/late_arrival_prediction")[-1]
    landed_rows = sum(file["rows"] for file in landing["files"])
    lines = [
        "",
        "Done. From raw files to a trained model:",
        "",
        f"  landed    {landed_rows:,} rows in {len(landing['files'])} files",
        f"  built     {statuses['model', 'success']} dbt models;"
        f" {tests_passed} of {tests} tests passed{warned}",
        f"  exposed   {len(published)} marts for Feast,"
        f" {sum(mart['row_count'] for mart in published):,} rows:",
        *(f"              {mart['mart']:<36}{mart['row_count']:>9,}" for mart in published),
        f"  dataset   {record.saved_dataset}: {record.file.rows:,} rows,"
        f" {record.label_audit.labelled / record.label_audit.rows:.1%} of all flights",
        f"  trained   on {report['train_rows']:,} flights, {len(report['features'])} features;"
        f" judged on {report['test_rows']:,} later ones:",
        *(
            f"              {name:<20} AUC {scores['auc']:.3f}"
            f"   average precision {scores['average_precision']:.3f}"
            for name, scores in report["scores"].items()
        ),
        "",
        "  docs      target/static_index.html      (open it in a browser)",
        f"  dataset   {dataset.relative_to(project)}/card.html",
        "  model     data/report/report.md, data/report/fairness.md",
        "",
        "Try next, after `source .venv/bin/activate`:",
        "",
        "  mf query --metrics on_time_share,cancellation_share --group-by flight__carrier_code",
        "  dbt build --select marts.carriers+",
        "  cd feature_repo && feast plan && feast feature-views list",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Print the summary; return the exit code."""
    try:
        martfeast.read_declaration(PROJECT)
        print(summary(PROJECT))
    except martfeast.DeclarationError as error:
        print(error, file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(f"Nothing to sum up: {error.filename} is missing. Run `make run`.", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"A step left a damaged record ({error}). Run `make clean run`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
