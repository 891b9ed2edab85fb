{# Where dbt looks for the strategy `replace_range`, which the package has. arguments: what dbt gives to a strategy. #}
{% macro get_incremental_replace_range_sql(arguments) -%}
  {{ return(martfeast.replace_range_sql(arguments)) }}
{%- endmacro %}
