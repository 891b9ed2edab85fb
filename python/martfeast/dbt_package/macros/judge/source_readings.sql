{#
  What each relation of a mart's lineage reads of sources when it is built, directly or through views, and how new
  the source was then.
#}
{% macro judge_source_readings() %}
{% set evidence = martfeast.evidence_schema() %}
{% set judge = martfeast.judge_schema() %}
with recursive readings as (
    select
        node_id as reader_id,
        unnest(parents) as read_id
    from {{ judge }}.project_nodes
    where
        resource_type <> 'test'
        and (not is_view or is_mart)

    union

    select
        readings.reader_id,
        unnest(project_nodes.parents) as read_id
    from readings
    inner join {{ judge }}.project_nodes on readings.read_id = project_nodes.node_id
    where project_nodes.is_view
)

select
    lineage.mart_id,
    readings.read_id as source_id,
    relations.invocation_id,
    relations.invocation_number,
    relations.name,
    source_loads.loaded_at
from {{ judge }}.lineage
inner join readings on lineage.node_id = readings.reader_id
inner join {{ judge }}.relations on lineage.node_id = relations.node_id
left join {{ evidence }}.source_loads
    on
        relations.invocation_id = source_loads.invocation_id
        and readings.read_id = source_loads.node_id
where readings.read_id like 'source.%'
{% endmacro %}
