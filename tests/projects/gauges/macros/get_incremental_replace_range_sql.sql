{# dbt looks for strategies in the project; the package has this one. #}
{% macro get_incremental_replace_range_sql(arguments) %}
  {{ return(martfeast.replace_range_sql(arguments)) }}
{% endmacro %}
