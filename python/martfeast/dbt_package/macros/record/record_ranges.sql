{#
  Note which ranges of event time this run has made of each model that is made by ranges: those of dbt's batches that
  succeeded; of replace_range what the strategy has noted, whose open end is filled in; and where neither is so, all rows
  up to now. The horizon is how far the facts went then.
#}
{% macro record_ranges(results) %}
  {% if martfeast.is_partial_run() %}{{ return(none) }}{% endif %}
  {% for result in results if martfeast.made_ranges(result) %}
    {% set node = result.node %}
    {% set horizon = martfeast.horizon_of(node) %}
    {% set look_back = martfeast.look_back_seconds(node) %}
    {% if node.config.incremental_strategy == 'microbatch' %}
      {% set rows = [] %}
      {% for range in martfeast.joined_ranges(result.batch_results.successful | sort) %}
        {% do rows.append([
          invocation_id, node.unique_id, node.relation_name, martfeast.moment(range[0]), martfeast.moment(range[1]), horizon,
          look_back
        ]) %}
      {% endfor %}
      {% do martfeast.insert_evidence('ranges', rows) %}
    {% else %}
      {% do martfeast.complete_range(node, horizon, look_back) %}
    {% endif %}
  {% endfor %}
{% endmacro %}


{# Whether a result is of a model that is made by ranges, and has made some. #}
{% macro made_ranges(result) %}
  {{ return(
    result.node and result.node.resource_type == 'model' and (result.status | string) in ['success', 'partial success']
    and martfeast.batch_of(result.node).size is not none
  ) }}
{% endmacro %}


{# Batches in their order, pairs of a start and an end, with those that touch made one. #}
{% macro joined_ranges(batches) %}
  {% set joined = [] %}
  {% for batch in batches %}
    {% if joined and joined[-1][1] == batch[0] %}
      {% do joined.append([joined.pop()[0], batch[1]]) %}
    {% else %}
      {% do joined.append([batch[0], batch[1]]) %}
    {% endif %}
  {% endfor %}
  {{ return(joined) }}
{% endmacro %}


{#
  How far the facts go that a model reads, by the event times of its parents and of its own rows, which may be later, at
  most to now; now where its parents have none.
#}
{% macro horizon_of(node) %}
  {% set newest = [] %}
  {% set read = [] %}
  {% for parent in martfeast.fact_parents(node) %}
    {% do read.append([adapter.quote(parent.config.event_time), parent.relation_name]) %}
  {% endfor %}
  {% for moment, relation in read + ([[martfeast.event_time_of(node), node.relation_name]] if read else []) %}
    {% set found = run_query('select max(' ~ moment ~ ') as newest from ' ~ relation).rows[0][0] %}
    {% if found is not none %}{% do newest.append(martfeast.moment(found)) %}{% endif %}
  {% endfor %}
  {% set now = martfeast.moment(run_started_at) %}
  {{ return([newest | max, now] | min if newest else now) }}
{% endmacro %}


{# Fill in the open end of the range that the strategy has noted; where it has noted none, all rows were made. #}
{% macro complete_range(node, horizon, look_back) %}
  {% set evidence = martfeast.evidence_schema() %}
  {% set event_time = martfeast.event_time_of(node) %}
  {% set sql %}
    select count(*) as noted from {{ evidence }}.ranges
    where
        invocation_id = {{ martfeast.literal(invocation_id) }}
        and node_id = {{ martfeast.literal(node.unique_id) }}
  {% endset %}
  {% if not run_query(sql).rows[0][0] %}
    {% do martfeast.insert_evidence('ranges', [[
      invocation_id, node.unique_id, node.relation_name, none, none, none, none
    ]]) %}
  {% endif %}
  {% set sql %}
    update {{ evidence }}.ranges
    set
        horizon = {{ martfeast.literal(horizon) }},
        look_back_seconds = {{ look_back }},
        range_end = coalesce(
            range_end,
            (
                select greatest(max({{ event_time }}), {{ martfeast.literal(horizon) }}) + interval 1 microsecond
                from {{ node.relation_name }}
            )
        )
    where
        invocation_id = {{ martfeast.literal(invocation_id) }}
        and node_id = {{ martfeast.literal(node.unique_id) }}
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}
