{#
  What a clock on the wall shows at a UTC moment.

  utc_timestamp: SQL of a timestamp without zone, in UTC.
  time_zone: SQL of an IANA zone name, for example 'America/New_York'.
#}
{% macro utc_to_local(utc_timestamp, time_zone) -%}
  {{ return(adapter.dispatch('utc_to_local', 'nyc_flights')(utc_timestamp, time_zone)) }}
{%- endmacro %}

{% macro default__utc_to_local(utc_timestamp, time_zone) -%}
  from_utc_timestamp({{ utc_timestamp }}, {{ time_zone }})
{%- endmacro %}

{% macro duckdb__utc_to_local(utc_timestamp, time_zone) -%}
  timezone({{ time_zone }}, timezone('UTC', {{ utc_timestamp }}))
{%- endmacro %}
