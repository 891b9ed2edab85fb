{# The day on which dbt runs, which is the day of the build. #}
{% macro day_of_this_run() %}{{ run_started_at.strftime('%Y-%m-%d') }}{% endmacro %}
