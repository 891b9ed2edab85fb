{#
  A test of any node in a mart's lineage is a test of the mart. A test counts for the node it is attached to, a
  singular test for every node it reads.
#}
{% macro judge_test_uses() %}
{% set judge = martfeast.judge_schema() %}
with tests as (
    select
        node_id,
        name,
        severity,
        code_checksum,
        unnest(tested_nodes) as tested_id
    from {{ judge }}.project_nodes
    where resource_type = 'test'
)

select distinct
    lineage.mart_id,
    tests.node_id as test_id,
    tests.name,
    tests.severity,
    tests.code_checksum
from tests
inner join {{ judge }}.lineage on tests.tested_id = lineage.node_id
{% endmacro %}
