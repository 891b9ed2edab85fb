"""The whole loop with marts that Spark builds: ``python -m nyc_flights.spark_run``."""

import json
import subprocess
import sys
import time
from pathlib import Path

from martfeast.datasets.folder import find_datasets

PROJECT = Path(__file__).parents[2]
FEATURE_REPO = "feature_repo/spark"
SERVICE = "late_arrival_prediction"
TARGET = ["--target", "spark", "--target-path", "target/spark"]
STEPS = {
    "dbt build": ["dbt", "build", *TARGET],
    "martfeast publish": ["martfeast", "publish", *TARGET],
    "martfeast replay": ["martfeast", "replay", "--feature-repo", FEATURE_REPO, *TARGET],
    "feast apply": ["feast", "--chdir", FEATURE_REPO, "apply"],
    "martfeast dataset": [
        *["martfeast", "dataset", SERVICE, "--test-from", "2013-10-01"],
        *["--feature-repo", FEATURE_REPO, *TARGET],
    ],
}


def main(project: Path = PROJECT) -> None:
    """Run each step in a landed project, and say how long it took and what rows there are.

    Raises:
        SystemExit: a step failed; it has said why.

    """
    seconds = {}
    for step, (command, *arguments) in STEPS.items():
        print(f"\n\033[1m{step} (Spark)\033[0m", flush=True)
        began = time.monotonic()
        program = str(Path(sys.executable).with_name(command))
        code = subprocess.run([program, *arguments], cwd=project, check=False).returncode
        if code != 0:
            raise SystemExit(code)
        seconds[step] = time.monotonic() - began
    release = json.loads((project / "data/spark/published/current.json").read_text())
    dataset, record = find_datasets(project / "data/spark/datasets" / SERVICE)[-1]
    rows = [f"  {mart['mart']:<36}{mart['row_count']:>10,} rows" for mart in release["marts"]]
    times = [f"  {step:<36}{taken:>10.0f} s" for step, taken in seconds.items()]
    made = f"  {dataset.name:<36}{record.file.rows:>10,} rows"
    print("\nDone, from marts that Spark built:\n", *rows, made, "", *times, sep="\n")


if __name__ == "__main__":
    main()
