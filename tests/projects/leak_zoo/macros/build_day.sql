{#  The day of the build, as a leak has it. #}
{% macro build_day() %}{{ run_started_at.strftime('%Y-%m-%d') }}{% endmacro %}
