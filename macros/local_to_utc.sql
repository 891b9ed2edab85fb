{#
  The UTC moment of a local wall-clock time.

  Where clocks go back, one hour of wall-clock times happens twice. Engines differ in which one they
  take, so it is said here: the first. Where clocks go forward, one hour is never shown: its times are
  taken as if the clocks had not yet changed.

  local_timestamp: SQL of a timestamp without zone, as a clock on the wall shows it.
  time_zone: SQL of an IANA zone name, for example 'America/New_York'.
#}
{% macro local_to_utc(local_timestamp, time_zone) -%}
  {{ return(adapter.dispatch('local_to_utc', 'nyc_flights')(local_timestamp, time_zone)) }}
{%- endmacro %}

{% macro default__local_to_utc(local_timestamp, time_zone) -%}
  to_utc_timestamp({{ local_timestamp }}, {{ time_zone }})
{%- endmacro %}

{% macro duckdb__local_to_utc(local_timestamp, time_zone) -%}
  {%- set utc = "timezone('UTC', timezone(" ~ time_zone ~ ", " ~ local_timestamp ~ "))" -%}
  {%- set hour_before = utc ~ " - interval 1 hour" -%}
  case
    when {{ utc_to_local(hour_before, time_zone) }} = {{ local_timestamp }} then {{ hour_before }}
    else {{ utc }}
  end
{%- endmacro %}
