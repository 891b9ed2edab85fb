{#
  A layer's schema is its name (staging, intermediate, marts): analysts type it every day, so it
  carries no prefix in the one-file warehouse.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
