{#
  Note which ranges of event time this run has made of each model that is made by ranges: those of dbt's batches that
  succeeded; of replace_range what the strategy has noted, whose open end is filled in; and where neither is so, all rows
  up to now. The horizon is how far the facts went then.
#}
{% macro record_ranges(results) %}
  {% if martfeast.is_partial_run() %}{{ return(none) }}{% endif %}
  {% for result in results if result.node and (result.status | string) in ['success', 'partial success'] %}
    {% set node = result.node %}
    {% if node.resource_type == 'model' and martfeast.batch_of(node).size %}
      {% set horizon = martfeast.horizon_of(node) %}
      {% if node.config.incremental_strategy == 'microbatch' %}
        {% set rows = [] %}
        {% for range in martfeast.joined_ranges(result.batch_results.successful | sort) %}
          {% do rows.append([
            invocation_id, node.unique_id, node.relation_name, martfeast.moment(range[0]), martfeast.moment(range[1]), horizon
          ]) %}
        {% endfor %}
        {% do martfeast.insert_evidence('ranges', rows) %}
      {% else %}
        {% do martfeast.complete_range(node, horizon) %}
      {% endif %}
    {% endif %}
  {% endfor %}
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


{# How far the facts go that a model reads, by the event times of its parents, at most to now; now where they have none. #}
{% macro horizon_of(node) %}
  {% set newest = [] %}
  {% for parent_id in node.depends_on.nodes %}
    {% set parent = graph.nodes.get(parent_id) or graph.sources.get(parent_id) %}
    {% if parent and parent.config.get('event_time') and parent.config.get('materialized') != 'ephemeral' %}
      {% set sql %}
        select max({{ adapter.quote(parent.config.event_time) }}) as newest from {{ parent.relation_name }}
      {% endset %}
      {% set found = run_query(sql).rows[0][0] %}
      {% if found is not none %}{% do newest.append(martfeast.moment(found)) %}{% endif %}
    {% endif %}
  {% endfor %}
  {% set now = martfeast.moment(run_started_at) %}
  {{ return([newest | max, now] | min if newest else now) }}
{% endmacro %}


{# Fill in the open end of the range that the strategy has noted; where it has noted none, all rows were made. #}
{% macro complete_range(node, horizon) %}
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
      invocation_id, node.unique_id, node.relation_name, none, none, none
    ]]) %}
  {% endif %}
  {% set sql %}
    update {{ evidence }}.ranges
    set
        horizon = {{ martfeast.literal(horizon) }},
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
