{#
  What the project holds now. The rows of a view, and of an ephemeral model, are those of its ancestors: it
  has none of its own that could be old.
#}
{% macro judge_project_nodes() %}
{% set evidence = martfeast.evidence_schema() %}
select
    node_id,
    resource_type,
    name,
    materialized,
    code_checksum,
    severity,
    parents,
    tested_nodes,
    is_mart,
    relations,
    batch_size,
    start_at,
    materialized in ('view', 'ephemeral') as is_view
from {{ evidence }}.nodes
{% endmacro %}
