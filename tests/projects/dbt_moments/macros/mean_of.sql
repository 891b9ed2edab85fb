{# The mean of a column of a relation, asked for when the SQL is compiled. #}
{% macro mean_of(relation, column) %}
  {% if execute %}
    {{ return(run_query('select avg(' ~ column ~ ') from ' ~ relation).rows[0][0]) }}
  {% endif %}
  {{ return(0) }}
{% endmacro %}
