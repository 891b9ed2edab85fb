{#
  The end of the hour or day that a moment falls in, where a moment on the boundary ends the window:
  09:00:00 -> 09:00, 09:00:01 -> 10:00. A row stamped with it knows nothing later than its stamp.

  moment: SQL of a timestamp. grain: 'hour' or 'day'.
#}
{% macro window_end(moment, grain) -%}
  case
    when {{ dbt.date_trunc(grain, moment) }} = {{ moment }} then {{ moment }}
    else {{ dbt.date_trunc(grain, moment) }} + interval 1 {{ grain }}
  end
{%- endmacro %}
