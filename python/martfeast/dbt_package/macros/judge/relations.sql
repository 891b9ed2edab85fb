{#
  What is known of each model, seed and snapshot that has a relation: its newest build, the code that made it and
  the code that the project has now.
#}
{% macro judge_relations() %}
{% set judge = martfeast.judge_schema() %}
select
    project_nodes.node_id,
    project_nodes.name,
    project_nodes.is_view,
    project_nodes.code_checksum,
    latest_results.code_checksum as built_checksum,
    latest_results.invocation_id,
    latest_results.invocation_number,
    latest_results.status,
    latest_results.compiled_checksum,
    latest_results.variables,
    latest_results.target_name,
    coalesce(latest_results.is_this_target, true) as is_this_target,
    latest_results.relations <> project_nodes.relations as reads_others,
    latest_results.is_partial or kept_partial.node_id is not null as is_partial,
    unfinished_builds.invocation_number as unfinished_number
from {{ judge }}.project_nodes
left join {{ judge }}.latest_results on project_nodes.node_id = latest_results.node_id
left join {{ judge }}.kept_partial on project_nodes.node_id = kept_partial.node_id
left join {{ judge }}.unfinished_builds on project_nodes.node_id = unfinished_builds.node_id
where
    project_nodes.resource_type <> 'test'
    and project_nodes.materialized <> 'ephemeral'
{% endmacro %}
