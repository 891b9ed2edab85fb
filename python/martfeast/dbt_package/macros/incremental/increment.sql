{#
  The moments of which this run makes a model's rows: none where it builds the model whole, else a mapping with SQL of
  moments, UTC: `start`, which is in it, and `end`, which is not; `end` is none where it is open.

  A batch of dbt's microbatch has its own. Any other incremental model takes dbt's options --event-time-start and
  --event-time-end; without them it goes back from its newest row, by config.meta.feast.batch: to the start of the
  `size` (hour, day or month) of that row, less the `lateness` of facts, such as '2 days'.
#}
{% macro increment() %}
  {% if not execute %}{{ return(none) }}{% endif %}
  {% if model.batch %}
    {{ return({
      'start': martfeast.moment_literal(model.batch.event_time_start),
      'end': martfeast.moment_literal(model.batch.event_time_end),
    }) }}
  {% endif %}
  {#- A unit test has no `this`, unless it gives rows for it and overrides is_incremental. -#}
  {% if not this or not is_incremental() %}{{ return(none) }}{% endif %}
  {% set given_start = invocation_args_dict.get('event_time_start') %}
  {% set given_end = invocation_args_dict.get('event_time_end') %}
  {% if given_start %}
    {{ return({
      'start': martfeast.moment_literal(given_start),
      'end': martfeast.moment_literal(given_end) if given_end else none,
    }) }}
  {% endif %}
  {% set feast = martfeast.feast_meta(model) or {} %}
  {% set batch = feast.get('batch') or {} %}
  {% set stamp = feast.get('timestamp') or config.get('event_time') %}
  {% set newest = dbt.date_trunc(batch.get('size', 'day'), 'max(' ~ stamp ~ ')') | trim %}
  {% set start -%}
    (select coalesce({{ newest }} - interval '{{ batch.get('lateness', '2 days') }}', timestamp '1700-01-01 00:00:00') from {{ this }})
  {%- endset %}
  {{ return({'start': start, 'end': none}) }}
{% endmacro %}


{# A moment that dbt has, with a zone or without (UTC then), as SQL of a timestamp without one, UTC. #}
{% macro moment_literal(moment) %}
  {% if moment is string %}{{ return("timestamp '" ~ moment ~ "'") }}{% endif %}
  {% if moment.tzinfo %}{% set moment = moment.astimezone(modules.pytz.utc) %}{% endif %}
  {{ return("timestamp '" ~ moment.strftime('%Y-%m-%d %H:%M:%S') ~ "'") }}
{% endmacro %}
