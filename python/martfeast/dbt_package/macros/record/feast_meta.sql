{# A node's `meta.feast`; none if it has none. #}
{% macro feast_meta(node) %}
  {{ return((node.config.meta or {}).get('feast', (node.meta or {}).get('feast'))) }}
{% endmacro %}
