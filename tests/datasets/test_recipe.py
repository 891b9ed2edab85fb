"""The label of absence, as the docs have it: its unit test holds, and a replay shows it right."""

import json
import random
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from martfeast.gate.criteria import CRITERIA

REPOSITORY = Path(__file__).parents[2]
MART = "lapse_labels"
SEED = """seeds:
  - name: orders
    config:
      event_time: ordered_at
      column_types: {ordered_at: timestamp, order_id: bigint, customer_id: bigint}
"""


def write_recipe(project: Path) -> Path:
    """Write the files of the page as it names them; return the model."""
    page = (REPOSITORY / "docs/datasets.md").read_text()
    for block in re.findall(r"```\w+\n(.*?)```", page, re.DOTALL):
        named = re.match(rf"(?:--|#) (models/\S+/(?:{MART}\.sql|_labels__models\.yml))\n", block)
        if named:
            path = project / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)
    return project / f"models/marts/labels/{MART}.sql"


@pytest.mark.slow
def test_the_recipe_for_a_label_of_absence_is_replayed_with_success(parsed):
    """And ways to get it wrong are found: by the replay, or by its unit test."""
    model = write_recipe(parsed.path)
    parsed.replace_in(
        "models/groups.yml", "groups:\n", "groups:\n  - {name: sales, owner: {name: S}}\n"
    )
    (parsed.path / "seeds/orders.yml").write_text(SEED)
    chance = random.Random(1)
    start = datetime(2026, 1, 1)
    moments = sorted(start + timedelta(minutes=chance.randrange(172_800)) for _ in range(240))
    orders = [
        f"{n},{chance.randrange(60)},{('web', 'shop')[n % 2]},{moment}"
        for n, moment in enumerate(moments)
    ]
    seed = "order_id,customer_id,sales_channel,ordered_at\n" + "\n".join(orders) + "\n"
    (parsed.path / "seeds/orders.csv").write_text(seed)

    def build() -> str:
        return parsed.dbt("build", "--select", f"+{MART}").stdout

    def replay() -> dict[str, Any]:
        result = parsed.martfeast("replay", "--json", "--select", MART, cwd=parsed.path)
        (mart,) = json.loads(result.stdout)["marts"]
        return mart

    assert "ERROR=0" in build()
    shown = replay()
    assert shown["has_passed"], shown
    status = parsed.martfeast("status", MART, cwd=parsed.path)
    assert status.stdout.count(": ok\n") == len(CRITERIA), status.stdout

    recipe = model.read_text()
    # The window is taken to be over without a fact that shows it; the unit test knows of no cut.
    stamp, group = "min(orders.ordered_at) as label_known_at", "group by asked.order_id"
    assert recipe.count(stamp) == recipe.count(group) == 1
    early = recipe.replace(stamp, "asked.window_ends_at as label_known_at")
    model.write_text(early.replace(group, f"{group}, asked.window_ends_at"))
    assert "ERROR=0" in build()
    assert not replay()["has_passed"]
    for right, wrong in (
        ("asked.window_ends_at >= orders.", "asked.window_ends_at > orders."),
        ("case when closed.order_id is not null then reordered.order_id is null end", "true"),
    ):
        assert recipe.count(right) == 1
        model.write_text(recipe.replace(right, wrong))
        assert "Failure in unit_test a_window_ends_after_30_days" in build()
