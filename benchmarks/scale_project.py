"""Writes a dbt project of many small marts, to measure how cost grows with their number.

``python benchmarks/scale_project.py <folder> <marts> <features of each> <entity rows>`` writes one.
"""

import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "python/martfeast/dbt_package"

PROJECT = """name: scale
version: "0.1.0"
profile: scale
flags: {send_anonymous_usage_stats: false}
vars:
  martfeast:
    published_path: out/published
    # What is measured is the number of marts; evidence of a replay is not needed for that.
    criteria: {replayed: warn}
models: {scale: {+materialized: table}}
"""

PROFILE = """scale:
  target: dev
  outputs:
    dev: {type: duckdb, path: scale.duckdb, threads: 2, settings: {TimeZone: UTC}}
"""

STORE = """project: scale
provider: local
registry:
  path: data/registry.db
  registry_store_type: martfeast.registry.SafeFileRegistryStore
offline_store:
  type: martfeast.offline_store.DuckDBAsofOfflineStore
  memory_limit: 2GB
online_store:
  type: sqlite
  path: data/online_store.db
entity_key_serialization_version: 3
"""

FEATURES = """import martfeast
from pathlib import Path

martfeast.expose(globals(), dbt_project=Path(__file__).parent.parent)
"""

HEAD = """groups:
  - name: sales
    owner: {name: Sales}

exposures:
  - name: sales_prediction
    type: ml
    description: Predicts a sale.
    owner: {name: Sales}
    depends_on: [ref('sales'), MARTS]
    config:
      meta:
        feast:
          features: {ALL}
          label: {mart: sales}

models:
  - name: sales
    description: One row per customer and moment, with whether something was sold.
    config:
      group: sales
      access: public
      contract: {enforced: true}
      event_time: label_known_at
      meta:
        feast:
          timestamp: predicted_at
          label: {column: has_bought, known_at: label_known_at, groups: [shop]}
    data_tests:
      - martfeast.unique_grain:
          arguments: {columns: [customer_id, predicted_at]}
    columns:
      - name: customer_id
        data_type: bigint
        description: The customer.
        config: {meta: {feast: {entity: customer}}}
        data_tests: [not_null]
      - name: predicted_at
        data_type: timestamp
        description: When it was asked, UTC.
        data_tests: [not_null]
      - name: has_bought
        data_type: boolean
        description: Whether something was sold.
        data_tests:
          - martfeast.label_coverage:
              arguments: {minimum_share: 0.9}
          - martfeast.label_base_rate:
              arguments: {minimum: 0.01, maximum: 0.9}
      - {name: label_known_at, data_type: timestamp, description: "When that was known, UTC."}
      - {name: shop, data_type: varchar, description: The shop.}
"""

MART = """
  - name: {name}
    description: Numbers of a customer, at a moment.
    config:
      group: sales
      access: public
      contract: {{enforced: true}}
      event_time: known_at
      meta: {{feast: {{timestamp: known_at, online: true}}}}
    data_tests:
      - martfeast.unique_grain:
          arguments: {{columns: [customer_id, known_at]}}
    columns:
      - name: customer_id
        data_type: bigint
        description: The customer.
        config: {{meta: {{feast: {{entity: customer}}}}}}
        data_tests: [not_null]
      - name: known_at
        data_type: timestamp
        description: When it was known, UTC.
        data_tests: [not_null]
"""


STAGE = """
  - name: {name}
    description: A step that all marts are built on.
    columns:
      - name: customer_id
        description: The customer.
        data_tests: [not_null, unique]
"""

# How many models lie under every mart, one on the other.
STAGES = 20


def name_of(mart: int) -> str:
    """Return the name of a mart, by its number."""
    return f"mart_{mart:03}"


def write_project(folder: Path, marts: int, features: int, rows: int) -> None:
    """Write a dbt project, with a feature repo, to a folder.

    Args:
        folder: where; made if it is missing.
        marts: how many feature marts; there is one label mart besides.
        features: how many features each mart has.
        rows: how many rows each mart has, the label mart too.

    """
    names = [name_of(number) for number in range(marts)]
    head = HEAD.replace("MARTS", ", ".join(f"ref('{name}')" for name in names))
    yaml = [head.replace("ALL", ", ".join(f"{name}: all" for name in names))]
    files = {
        "dbt_project.yml": PROJECT,
        "profiles.yml": PROFILE,
        "packages.yml": f"packages:\n  - local: {PACKAGE}\n",
        "feature_repo/feature_store.yaml": STORE,
        "feature_repo/features.py": FEATURES,
        "models/sales.sql": "select\n    i as customer_id,\n"
        "    timestamp '2026-02-01' + to_hours(cast(i as int)) as predicted_at,\n"
        "    i % 3 = 0 as has_bought,\n"
        "    timestamp '2026-02-01' + to_hours(cast(i as int) + 1) as label_known_at,\n"
        f"    'shop_' || i % 2 as shop\nfrom range({rows}) as sold (i)\n",
        "models/stage_00.sql": f"select i as customer_id\nfrom range({rows}) as customers (i)\n",
    }
    for number in range(STAGES):
        yaml.append(STAGE.format(name=f"stage_{number:02}"))
        if number:
            before = f"{{{{ ref('stage_{number - 1:02}') }}}}"
            files[f"models/stage_{number:02}.sql"] = f"select customer_id\nfrom {before}\n"
    for number, name in enumerate(names):
        columns = [f"{name}_feature_{feature}" for feature in range(features)]
        yaml.append(MART.format(name=name))
        yaml += [
            f"      - {{name: {c}, data_type: double, description: A number.,"
            " data_tests: [not_null]}\n"
            for c in columns
        ]
        values = ",\n".join(
            f"    cast(hash(customer_id, {number}, {feature}) % 1000 as double) as {column}"
            for feature, column in enumerate(columns)
        )
        files[f"models/{name}.sql"] = (
            "select\n    customer_id,\n    timestamp '2026-01-01' as known_at,\n"
            f"{values}\nfrom {{{{ ref('stage_{STAGES - 1:02}') }}}}\n"
        )
    files["models/_models.yml"] = "".join(yaml)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


if __name__ == "__main__":
    write_project(Path(sys.argv[1]), *map(int, sys.argv[2:]))
