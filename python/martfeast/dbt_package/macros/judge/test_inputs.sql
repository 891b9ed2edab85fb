{#
  A test also reads relations that it is not attached to: the `to` of a relationship, for example. The newest rows
  among all that it reads are those that it has to be newer than.
#}
{% macro judge_test_inputs() %}
{% set judge = martfeast.judge_schema() %}
select
    test_uses.mart_id,
    test_uses.test_id,
    max(input_ages.invocation_number) as invocation_number,
    max_by(input_ages.name, input_ages.invocation_number) as name
from {{ judge }}.test_uses
inner join {{ judge }}.project_nodes on test_uses.test_id = project_nodes.node_id
inner join {{ judge }}.input_ages
    on
        test_uses.mart_id = input_ages.mart_id
        and list_contains(project_nodes.parents, input_ages.node_id)
group by test_uses.mart_id, test_uses.test_id
{% endmacro %}
