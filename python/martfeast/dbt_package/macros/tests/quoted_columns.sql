{# Names of columns, quoted; one that YAML quotes already is not quoted twice. #}
{% macro quoted_columns(names) %}
  {% set quoted = [] %}
  {% for name in names %}{% do quoted.append(adapter.quote(name | string | trim('"`'))) %}{% endfor %}
  {{ return(quoted) }}
{% endmacro %}
