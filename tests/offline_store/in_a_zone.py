"""Asks the store at two moments, in the zone of the machine: the command of a test."""

import sys
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from asof_oracle import retrieve, view_of

if __name__ == "__main__":
    view = view_of("v", "facts.parquet", ["k"], ["trips"])
    moments = [datetime(2026, 3, 1, 23, 59, 59, 999999), datetime(2026, 3, 2)]
    spine = pa.table({"k": [1, 1], "event_timestamp": pa.array(moments, pa.timestamp("us"))})
    trips = retrieve(Path(sys.argv[1]), [view], ["v:trips"], spine).to_arrow()["trips"]
    print(duckdb.execute("select current_setting('TimeZone')").fetchall(), trips.to_pylist())
