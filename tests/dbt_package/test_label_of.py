"""Which label an audit is of, and what is said where there is none."""

import json

LABELS_YAML = "models/marts/_marts__models.yml"
OTHER = """
models:
  - name: labels_of_other_loans
    config:
      meta:
        feast: {timestamp: lent_at, label: {column: is_long, known_at: lent_at}}
    columns:
      - {name: member_id, data_type: bigint, config: {meta: {feast: {entity: member}}}}
      - {name: lent_at, data_type: timestamp}
      - {name: is_long, data_type: boolean}
"""


def test_a_test_is_of_the_mart_it_is_attached_to_whatever_its_where_names(library):
    (library.path / "models/labels_of_other_loans.sql").write_text(
        "select member_id, lent_at, true as is_long from {{ ref('loans') }}"
    )
    (library.path / "models/labels_of_other_loans.yml").write_text(OTHER)
    assert library.dbt("run", "-s", "labels_of_other_loans").returncode == 0
    library.replace_in(
        LABELS_YAML,
        "- martfeast.label_coverage:\n              arguments: {minimum_share: 0}\n",
        "- martfeast.label_coverage:\n              arguments: {minimum_share: 1}\n"
        "              config:\n                where: >\n                  member_id in (select"
        ' member_id from "library"."main"."labels_of_other_loans")\n',
    )
    library.dbt("test", "-s", "loan_labels")
    results = json.loads((library.path / "target/run_results.json").read_text())["results"]
    coverage = [result for result in results if "label_coverage" in result["unique_id"]]
    # One loan is out: the share of labels is below 1 over all rows, and in its branch.
    assert [(result["status"], result["failures"]) for result in coverage] == [("fail", 1)]


def test_an_audit_of_a_model_without_a_label_says_so(library):
    (library.path / "models/audit.sql").write_text("{{ martfeast.label_audit(ref('loans')) }}")
    said = library.dbt("compile", "-s", "audit").stdout
    assert '"library"."main"."loans" is no model with a label. Give it config.meta.feast' in said


def test_an_audit_can_have_no_unit_test_and_says_so(library):
    (library.path / "models/audit.sql").write_text(
        "{{ martfeast.label_audit(ref('loan_labels')) }}"
    )
    (library.path / "models/audit.yml").write_text(
        "unit_tests:\n  - name: audit_of_nothing\n    model: audit\n"
        "    given: [{input: ref('loan_labels'), rows: []}]\n    expect: {rows: []}\n"
    )
    assert library.dbt("run", "-s", "audit").returncode == 0
    said = library.dbt("test", "-s", "audit").stdout
    assert "dbt does not tell unit tests what models declare" in " ".join(said.split())
