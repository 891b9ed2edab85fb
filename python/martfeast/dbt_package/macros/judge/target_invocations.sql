{#
  What ran in this database, and whether it was on this dbt target. Builds are evidence for the relation that they
  made, whichever target made it; tests are evidence for their own target only.
#}
{% macro judge_target_invocations() %}
{% set evidence = martfeast.evidence_schema() %}
select
    invocation_id,
    invocation_number,
    is_partial,
    is_full_refresh,
    selected_nodes,
    selected_relations,
    variables,
    target_name,
    target_name = {{ martfeast.literal(target.name) }} as is_this_target
from {{ evidence }}.invocations
{% endmacro %}
