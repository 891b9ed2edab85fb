{#
  What a model declares of its label under config.meta.feast: timestamp, column, known_at,
  missing_reason and groups. relation: of the model, or a subquery over it.
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
  {#- One name may be the beginning of another: the longest that is in the text is meant. -#}
  {% set text = relation | string %}
  {% set found = namespace(label=none, length=0) %}
  {% for node in graph.nodes.values() if node.resource_type == 'model' %}
    {% set feast = node.config.get('meta', {}).get('feast') or {} %}
    {% set name = node.relation_name or '' %}
    {% if feast.label and name in text and name | length > found.length %}
      {% set found.length = name | length %}
      {% set found.label = {
        'timestamp': feast.timestamp,
        'column': feast.label.column,
        'known_at': feast.label.known_at,
        'missing_reason': feast.label.missing_reason,
        'groups': feast.label.groups or []
      } %}
    {% endif %}
  {% endfor %}
  {% if found.label %}
    {{ return(found.label) }}
  {% endif %}
  {{ exceptions.raise_compiler_error(
    relation ~ ' is no model with a label. Give it config.meta.feast.label, or name another.'
  ) }}
{% endmacro %}
