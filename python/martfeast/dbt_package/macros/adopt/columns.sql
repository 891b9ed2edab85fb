{#
  The operation that `martfeast scaffold` runs: it prints the columns that a model has in the warehouse, with their
  types, as JSON; null if it is not there.
#}
{% macro print_columns(model_id) %}
  {% set node = graph.nodes[model_id] %}
  {% set relation = adapter.get_relation(database=node.database, schema=node.schema, identifier=node.alias) %}
  {% set types = {} %}
  {% if relation is not none %}
    {% for column in adapter.get_columns_in_relation(relation) %}
      {#- dbt gives texts a length that they do not have. -#}
      {% do types.update({column.name: (column.dtype if column.is_string() else column.data_type) | lower}) %}
    {% endfor %}
  {% endif %}
  {% do print('martfeast columns: ' ~ tojson(types if relation is not none else none)) %}
{% endmacro %}
