{# A row for each text of a list; SQL of a select's column. #}
{% macro each_of(texts) %}
  {{- return(adapter.dispatch('each_of', 'martfeast')(texts)) -}}
{% endmacro %}

{% macro duckdb__each_of(texts) %}
  {{- return('unnest(' ~ texts ~ ')') -}}
{% endmacro %}

{% macro default__each_of(texts) %}
  {{- return('explode(' ~ texts ~ ')') -}}
{% endmacro %}


{# The texts of a list as one, with semicolons between them; SQL. #}
{% macro joined(texts) %}
  {{- return(adapter.dispatch('joined', 'martfeast')(texts)) -}}
{% endmacro %}

{% macro duckdb__joined(texts) %}
  {{- return('array_to_string(' ~ texts ~ ", '; ')") -}}
{% endmacro %}

{% macro default__joined(texts) %}
  {{- return('array_join(' ~ texts ~ ", '; ')") -}}
{% endmacro %}


{# Whole seconds from one timestamp to another; SQL. #}
{% macro seconds_between(start, end) %}
  {{- return(adapter.dispatch('seconds_between', 'martfeast')(start, end)) -}}
{% endmacro %}

{% macro duckdb__seconds_between(start, end) %}
  {{- return("date_diff('second', " ~ start ~ ', ' ~ end ~ ')') -}}
{% endmacro %}

{% macro default__seconds_between(start, end) %}
  {{- return('timestampdiff(second, ' ~ start ~ ', ' ~ end ~ ')') -}}
{% endmacro %}
