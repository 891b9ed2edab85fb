{#
  Minutes after midnight of a clock reading written as a number: 517 is 05:17, 2400 the midnight that
  ends the day (1,440 minutes).
#}
{% macro clock_to_minutes(clock) -%}
  (cast(floor({{ clock }} / 100) as integer) * 60 + {{ clock }} % 100)
{%- endmacro %}
