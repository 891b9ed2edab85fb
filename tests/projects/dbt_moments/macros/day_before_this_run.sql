{# The day before the one on which dbt runs. #}
{% macro day_before_this_run() %}{{ return(adapter.dispatch('day_before_this_run', 'dbt_moments')()) }}{% endmacro %}

{% macro default__day_before_this_run() %}
  {{ return((run_started_at - modules.datetime.timedelta(days=1)).strftime('%Y-%m-%d')) }}
{% endmacro %}
