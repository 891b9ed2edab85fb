{#
  The verdict on every mart, from the evidence alone: one row per mart with whether its present rows may be
  published, the reasons why not, the warnings, and the tests that vouch for it.

  What is asked of a mart, and of each of its ancestors:
    - its last build succeeded, was whole (no --empty, no --sample, no --defer), and ran the code that the
      project has now, macros included; what an incremental model keeps was built so as well;
    - the ranges of event time that it was built by leave no gap;
    - no later run that was to rebuild it ended without a word;
    - it was built after its ancestors were;
    - every test on it ran after its rows were made, on the same load of the sources, and passed; with the variable
      test_all_rows_every, on the rows that were made since it passed, and on all of them as often as that says.

  Within an invocation dbt itself keeps the order: parents before children, tests after what they test.
  A view's rows are as new as the newest of its ancestors. A test counts for the node it is attached to; a
  singular test counts for every node it reads. Severity decides what blocks: a test of severity warn never does.

  Each step is a table of its own, in this order, and stays until the next run: to see why a mart was held back,
  select from them. The last one is the verdict. One transaction makes them, so they are always of one run.
#}
{% macro judge_marts() %}
  {% set judge = martfeast.judge_schema() %}
  {% set steps = [
    ('project_nodes', martfeast.judge_project_nodes()),
    ('target_invocations', martfeast.judge_target_invocations()),
    ('ancestry', martfeast.judge_ancestry()),
    ('lineage', martfeast.judge_lineage()),
    ('latest_results', martfeast.judge_latest_results()),
    ('kept_partial', martfeast.judge_kept_partial()),
    ('unfinished_builds', martfeast.judge_unfinished_builds()),
    ('relations', martfeast.judge_relations()),
    ('row_ages', martfeast.judge_row_ages()),
    ('build_reasons', martfeast.judge_build_reasons()),
    ('range_pieces', martfeast.judge_range_pieces()),
    ('range_reasons', martfeast.judge_range_reasons()),
    ('fact_changes', martfeast.judge_fact_changes()),
    ('stale_pieces', martfeast.judge_stale_pieces()),
    ('stale_warnings', martfeast.judge_stale_warnings()),
    ('order_reasons', martfeast.judge_order_reasons()),
    ('source_readings', martfeast.judge_source_readings()),
    ('input_ages', martfeast.judge_input_ages()),
    ('test_uses', martfeast.judge_test_uses()),
    ('test_inputs', martfeast.judge_test_inputs()),
    ('moved_sources', martfeast.judge_moved_sources()),
    ('seen_by_tests', martfeast.judge_seen_by_tests()),
    ('other_failures', martfeast.judge_other_failures()),
    ('test_results', martfeast.judge_test_results()),
    ('unit_test_results', martfeast.judge_unit_test_results()),
    ('reasons', martfeast.judge_reasons()),
    ('verdicts', martfeast.judge_verdicts())
  ] %}

  {% set sql %}
    begin transaction;

    create schema if not exists {{ judge }};

    {% for name, select in steps %}
      create or replace table {{ judge }}.{{ name }} as
      {{ select }};
    {% endfor %}

    commit
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{# The schema of the judge's steps, in the target's database. #}
{% macro judge_schema() %}
  {{ return(adapter.quote(var('evidence_schema', 'martfeast') ~ '_judge')) }}
{% endmacro %}
