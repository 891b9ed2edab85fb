{#
  Every unit test of a mart's lineage passed. They count from the node's last build on: one that is gone since
  then is not waited for.
#}
{% macro judge_unit_test_results() %}
{% set judge = martfeast.judge_schema() %}
select
    lineage.mart_id,
    latest_results.node_id as test_id,
    latest_results.invocation_id,
    latest_results.status,
    latest_results.code_checksum,
    case
        when latest_results.status <> 'pass'
            then
                'unit test ' || split_part(latest_results.node_id, '.', -1) || ': '
                || latest_results.status
    end as reason
from {{ judge }}.lineage
inner join {{ judge }}.relations on lineage.node_id = relations.node_id
inner join {{ judge }}.latest_results
    on
        lineage.node_id = latest_results.tested_node_id
        and latest_results.resource_type = 'unit_test'
        and relations.invocation_number <= latest_results.invocation_number
{% endmacro %}
