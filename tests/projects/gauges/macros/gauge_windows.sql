{#
  Every function over windows that reach four days back, as all marts of this project have them.

  readings: what windowed_features takes as facts. entity, step: likewise.
#}
{% macro gauge_windows(readings, entity=['gauge_code'], step='hour') -%}
  {{ martfeast.windowed_features(
      facts=readings,
      entity=entity,
      known_at='known_at',
      step=step,
      windows=['1 day', '3 days'],
      offsets=['1 day'],
      aggregations=[
          {'name': 'readings', 'function': 'count'},
          {'name': 'alarms', 'function': 'count', 'where': 'is_alarm'},
          {'name': 'level_sum', 'function': 'sum', 'of': 'level_millimetres', 'type': 'bigint'},
          {'name': 'flow_sum', 'function': 'sum', 'of': 'flow_litres', 'type': 'decimal(18, 3)'},
          {'name': 'level_mean', 'function': 'mean', 'of': 'level_millimetres'},
          {'name': 'level_of_a_sample', 'function': 'mean', 'of': 'level_millimetres', 'per': 'sample_count'},
          {'name': 'alarm_share', 'function': 'share', 'of': 'is_alarm'},
          {'name': 'lowest', 'function': 'min', 'of': 'level_millimetres'},
          {'name': 'highest_of_alarms', 'function': 'max', 'of': 'level_millimetres', 'where': 'is_alarm'},
          {'name': 'level_deviation', 'function': 'stddev', 'of': 'level_millimetres'},
          {'name': 'flow_deviation', 'function': 'stddev', 'of': 'flow_litres'},
          {'name': 'last_observer', 'function': 'last', 'of': 'observer'},
          {'name': 'observers', 'function': 'distinct', 'of': 'observer'},
      ]
  ) }}
{%- endmacro %}
