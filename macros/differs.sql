{#
  Whether two doubles are different: one is null and the other is not, or they are more than a
  billionth apart. Null where both are null.
#}
{% macro differs(left, right) -%}
  (
    ({{ left }} is null) <> ({{ right }} is null)
    or abs({{ left }} - {{ right }}) > 1e-9
  )
{%- endmacro %}
