{#
  Values from minimum to maximum, both included; either may be left out. Nulls pass: say not_null
  where they should not. Returns the values outside.
#}
{% test within_range(model, column_name, minimum=none, maximum=none) %}
{{- config(meta={'martfeast': {'judges': 'each row'}}) -}}
select {{ column_name }}
from {{ model }}
where
    false
    {% if minimum is not none %}or {{ column_name }} < {{ minimum }}{% endif %}
    {% if maximum is not none %}or {{ column_name }} > {{ maximum }}{% endif %}
{% endtest %}
