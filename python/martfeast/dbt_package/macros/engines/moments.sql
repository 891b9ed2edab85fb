{#
  A select list entry that yields one row for each step from start to stop, both included.

  start, stop: SQL of timestamps. step: 'hour' or 'day'.
#}
{% macro timestamp_series(start, stop, step) -%}
  {{ return(adapter.dispatch('timestamp_series', 'martfeast')(start, stop, step)) }}
{%- endmacro %}

{% macro default__timestamp_series(start, stop, step) -%}
  {#- Spark's sequence would count backwards, or fail where it cannot. -#}
  explode(
    case when {{ start }} <= {{ stop }} then sequence({{ start }}, {{ stop }}, interval 1 {{ step }}) end
  )
{%- endmacro %}

{% macro duckdb__timestamp_series(start, stop, step) -%}
  unnest(generate_series({{ start }}, {{ stop }}, interval 1 {{ step }}))
{%- endmacro %}
