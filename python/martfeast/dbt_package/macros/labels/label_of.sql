{#
  What a model declares of its label under config.meta.feast: timestamp, column, known_at,
  missing_reason and groups.

  relation: what ref() gives for the model. A test that is attached to the model need not care: it may also
  pass a subquery over it, as dbt makes one of the test's config `where`.
#}
{% macro label_of(relation) %}
  {% if not execute %}
    {{ return({'timestamp': 'asked_at', 'column': 'label', 'known_at': 'known_at', 'groups': []}) }}
  {% endif %}
  {% if not graph.nodes %}
    {{ exceptions.raise_compiler_error(
      'dbt does not tell unit tests what models declare, so an audit of a label cannot have one.'
    ) }}
  {% endif %}
  {# `model` is what dbt runs: for a test, it says which node the test is attached to. #}
  {% set attached_node = model.attached_node %}
  {% set labelled = [] %}
  {% for node in graph.nodes.values() if node.resource_type == 'model' %}
    {% set feast = martfeast.feast_meta(node) %}
    {% if feast is mapping and feast.label is mapping %}
      {% set is_meant = node.unique_id == attached_node if attached_node
        else relation.render is defined and node.relation_name == relation.render() %}
      {% if is_meant %}{% do labelled.append(feast) %}{% endif %}
    {% endif %}
  {% endfor %}
  {% if not labelled %}
    {{ exceptions.raise_compiler_error(
      (attached_node or relation) ~ ' is no model with a label. Give it config.meta.feast.label, or name another.'
    ) }}
  {% endif %}
  {% set feast = labelled[0] %}
  {{ return({
    'timestamp': feast.timestamp,
    'column': feast.label.column,
    'known_at': feast.label.known_at,
    'missing_reason': feast.label.missing_reason,
    'groups': feast.label.groups or []
  }) }}
{% endmacro %}
