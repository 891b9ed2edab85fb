{#
  The day of the week, 1 for Monday to 7 for Sunday (ISO 8601). Engines count other days of the week from
  other days on, under names that are alike.

  moment: SQL of a date or timestamp.
#}
{% macro iso_day_of_week(moment) -%}
  {{ return(adapter.dispatch('iso_day_of_week', 'nyc_flights')(moment)) }}
{%- endmacro %}

{% macro default__iso_day_of_week(moment) -%}
  extract(dayofweek_iso from {{ moment }})
{%- endmacro %}

{% macro duckdb__iso_day_of_week(moment) -%}
  extract(isodow from {{ moment }})
{%- endmacro %}
