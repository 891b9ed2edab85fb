{#
  Only what ran on this dbt target, in its schema, is evidence for it: another one has other rows.
#}
{% macro judge_target_invocations() %}
{% set evidence = martfeast.evidence_schema() %}
select
    invocation_id,
    invocation_number,
    is_partial,
    is_full_refresh,
    selected_nodes
from {{ evidence }}.invocations
where
    target_name = {{ martfeast.literal(target.name) }}
    -- Without a schema, of before it was recorded.
    and coalesce(schema_name, {{ martfeast.literal(target.schema) }}) = {{ martfeast.literal(target.schema) }}
{% endmacro %}
