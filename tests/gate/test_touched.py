"""What the gate says of a failure above a mart: which of its features that touches."""

import pytest
from conftest import Library

TESTS = """seeds:
  - name: member_days
    columns:
      - name: overdue_share_30d
        data_tests: [not_null]
"""


@pytest.mark.slow
def test_a_test_that_failed_above_a_mart_names_the_features_it_touches(library: Library):
    (library.path / "seeds/_seeds.yml").write_text(TESTS)
    library.said("build", succeeds=False)
    done = library.martfeast("status", cwd=library.path)
    said = " ".join(done.stdout.split())
    assert "test not_null_member_days_overdue_share_30d failed (1)" in said
    # dbt skipped the mart, and compiled no SQL of it.
    assert "`martfeast lineage member_days.overdue_share_30d` says which features that" in said
    library.said("compile")
    said = " ".join(library.martfeast("status", cwd=library.path).stdout.split())
    assert "It touches overdue_share_30d. Version" in said, said
