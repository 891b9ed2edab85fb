"""What an analyst finds: the judge's steps as tables, and every macro and step described."""

import json


def manifest(library):
    return json.loads((library.path / "target/manifest.json").read_text())


def test_every_macro_and_argument_is_described(built_library):
    macros = {
        macro["name"]: macro
        for macro in manifest(built_library)["macros"].values()
        if macro["package_name"] == "martfeast"
    }
    assert {"judge_verdicts", "publish_marts", "test_unique_grain", "label_audit"} <= set(macros)
    for name, macro in macros.items():
        assert macro["description"], name
        assert all(argument["description"] for argument in macro["arguments"]), name
        declared = macro["macro_sql"].partition("(")[2].partition(")")[0]
        named = [part.partition("=")[0].strip() for part in declared.split(",") if part.strip()]
        assert [argument["name"] for argument in macro["arguments"]] == named, name


def test_every_step_of_the_judge_is_a_described_table(built_library):
    described = {
        source["name"]: source["columns"]
        for source in manifest(built_library)["sources"].values()
        if source["source_name"] == "martfeast_judge"
    }
    columns = built_library.query(
        "select table_name, list(column_name order by column_index) from duckdb_columns()"
        " where schema_name = 'martfeast_judge' group by table_name"
    )
    assert {table: list(names) for table, names in columns} == {
        table: list(names) for table, names in described.items()
    }
    assert all(column["description"] for table in described.values() for column in table.values())


def test_the_steps_show_what_the_last_judgement_saw(library):
    library.replace_in("seeds/member_days.csv", ",0.75,", ",1.75,")
    library.said("build", succeeds=False)
    found = library.query(
        "select split_part(mart_id, '.', -1), split_part(test_id, '.', -1), reason, is_blocking"
        " from martfeast_judge.test_results where reason is not null"
    )
    reason = "test overdue_share_is_a_share failed (1)"
    assert found == [("member_activity_daily", "overdue_share_is_a_share", reason, True)]
    assert library.query(
        "select mart, reasons from martfeast_judge.verdicts where len(reasons) > 0"
    ) == [("member_activity_daily", [reason])]
    # One project's variable names the schema of both.
    library.replace_in(
        "dbt_project.yml", "    published_path:", "    evidence_schema: proof\n    published_path:"
    )
    library.said("build", succeeds=False)
    assert library.query("select mart from proof_judge.verdicts where len(reasons) > 0") == [
        ("member_activity_daily",)
    ]
