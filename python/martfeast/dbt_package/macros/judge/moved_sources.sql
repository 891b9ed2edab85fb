{#
  Invocations that saw another load of a source than a mart was built from: what they tested is not what the mart
  has.
#}
{% macro judge_moved_sources() %}
{% set evidence = martfeast.evidence_schema() %}
{% set judge = martfeast.judge_schema() %}
select
    source_readings.mart_id,
    source_loads.invocation_id,
    min(source_readings.source_id) as source_id
from {{ judge }}.source_readings
inner join {{ evidence }}.source_loads
    on
        source_readings.source_id = source_loads.node_id
        and source_readings.loaded_at <> source_loads.loaded_at
group by source_readings.mart_id, source_loads.invocation_id
{% endmacro %}
