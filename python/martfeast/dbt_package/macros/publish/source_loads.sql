{#
  Note how new the sources under the marts are: the same `loaded_at` that `dbt source freshness` looks at. It
  ties tests to the load they ran on, and it is what the gate judges freshness by. A source that something has
  failed on in this run may not be there, and is left out.
#}
{% macro record_source_loads(results) %}
  {% set ancestors = {} %}
  {% for mart in graph.nodes.values() if mart.resource_type == 'model' and martfeast.feast_meta(mart) is not none %}
    {% do martfeast.collect_ancestors(mart.unique_id, ancestors) %}
  {% endfor %}
  {% set failed_on = [] %}
  {% for result in results if result.node and result.status | string in ['error', 'runtime error'] %}
    {% do failed_on.extend(result.node.depends_on.nodes or []) %}
  {% endfor %}
  {% set loads = [] %}
  {% for source_id in ancestors if source_id in graph.sources and source_id not in failed_on %}
    {% set loaded_at = martfeast.newest_load(graph.sources[source_id]) %}
    {% if loaded_at %}{% do loads.append((source_id, loaded_at)) %}{% endif %}
  {% endfor %}
  {% if loads %}
    {% set sql %}
      insert into {{ martfeast.evidence_schema() }}.source_loads
      {% for source_id, loaded_at in loads %}
      select
          {{ martfeast.literal(invocation_id) }} as invocation_id,
          {{ martfeast.literal(source_id) }} as node_id,
          {{ martfeast.as_moment(loaded_at) }} as loaded_at
      {% if not loop.last %}
      union all
      {% endif %}
      {% endfor %}
    {% endset %}
    {% do run_query(sql) %}
  {% endif %}
{% endmacro %}


{# Add a node and all that it is made of to a dictionary. #}
{% macro collect_ancestors(node_id, found) %}
  {% if node_id not in found %}
    {% do found.update({node_id: true}) %}
    {% if node_id in graph.nodes %}
      {% for parent_id in graph.nodes[node_id].depends_on.nodes %}
        {% do martfeast.collect_ancestors(parent_id, found) %}
      {% endfor %}
    {% endif %}
  {% endif %}
{% endmacro %}


{# When a source was last loaded, as a scalar subquery; none where it does not say. #}
{% macro newest_load(source) %}
  {% if source.loaded_at_query %}
    {% set query %}({{ source.loaded_at_query }}){% endset %}
    {{ return(query) }}
  {% elif source.loaded_at_field %}
    {% set filter = (source.freshness or {}).filter or 'true' %}
    {% set query %}(
              select max({{ source.loaded_at_field }}) from {{ source.relation_name }}
              where {{ filter }}
          ){% endset %}
    {{ return(query) }}
  {% endif %}
  {{ return(none) }}
{% endmacro %}
