{#
  The MD5 of what a node runs: its file and materialization, for a test its settings and arguments, the macros it
  calls (dbt's own left out), and the ephemeral models that are part of it. The Python package computes the
  same from the manifest: change both together. Most nodes share their macros with many others: `known` keeps
  what was found for these, from one node to the next.
#}
{% macro code_checksum(node, known) %}
  {% set parts = [node.checksum.checksum or '', node.config.materialized] %}
  {% if node.resource_type == 'test' %}
    {% for key in ['severity', 'where', 'limit', 'warn_if', 'error_if', 'fail_calc'] %}
      {% do parts.append(node.config[key] | string) %}
    {% endfor %}
    {% do parts.append(tojson((node.test_metadata or {}).get('kwargs', {}), sort_keys=true)) %}
  {% endif %}
  {% set macro_key = node.depends_on.macros | sort | join(' ') %}
  {% if macro_key not in known %}
    {% set macro_ids = [] %}
    {% do martfeast.collect_macros(node.depends_on.macros, macro_ids) %}
    {% set bodies = [] %}
    {% for macro_id in macro_ids | sort %}
      {% set name = macro_id.split('.') %}
      {% do bodies.append(context[name[1]][name[2]].macro.macro_sql) %}
    {% endfor %}
    {% do known.update({macro_key: bodies}) %}
  {% endif %}
  {% do parts.extend(known[macro_key]) %}
  {% for parent in node.depends_on.nodes | sort %}
    {% if parent in graph.nodes and graph.nodes[parent].config.materialized == 'ephemeral' %}
      {% if parent not in known %}
        {% do known.update({parent: martfeast.code_checksum(graph.nodes[parent], known)}) %}
      {% endif %}
      {% do parts.append(known[parent]) %}
    {% endif %}
  {% endfor %}
  {{ return(local_md5(parts | join('\n'))) }}
{% endmacro %}


{# Add macros and all that they call to a list, dbt's own left out. #}
{% macro collect_macros(macro_ids, collected) %}
  {% for macro_id in macro_ids %}
    {% set name = macro_id.split('.') %}
    {% if macro_id not in collected and name[1] not in ['dbt', 'dbt_' ~ target.type] %}
      {% do collected.append(macro_id) %}
      {% do martfeast.collect_macros(context[name[1]][name[2]].macro.depends_on.macros, collected) %}
    {% endif %}
  {% endfor %}
{% endmacro %}
