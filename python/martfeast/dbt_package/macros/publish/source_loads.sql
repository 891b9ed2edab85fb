{#
  Note how new the sources under the marts are: the same `loaded_at` that `dbt source freshness` looks at. It
  ties tests to the load they ran on, and it is what the gate judges freshness by. A source that something has
  failed on in this run may not be there, and is left out.
#}
{% macro record_source_loads() %}
  {% set evidence = martfeast.evidence_schema() %}
  {% set sql %}
    with recursive ancestry as (
        select node_id from {{ evidence }}.nodes
        where is_mart

        union

        select unnest(nodes.parents) as node_id
        from ancestry
        inner join {{ evidence }}.nodes on ancestry.node_id = nodes.node_id
    ),

    failed as (
        select node_id from {{ evidence }}.results
        where
            invocation_id = {{ martfeast.literal(invocation_id) }}
            and status in ('error', 'runtime error')

        union

        select unnest(nodes.parents) as node_id
        from failed
        inner join {{ evidence }}.nodes on failed.node_id = nodes.node_id
    )

    select node_id from ancestry
    where node_id like 'source.%'

    except

    select node_id from failed
  {% endset %}
  {% set loads = [] %}
  {% for source_id in run_query(sql).columns[0].values() %}
    {% set loaded_at = martfeast.newest_load(graph.sources[source_id]) %}
    {% if loaded_at %}{% do loads.append((source_id, loaded_at)) %}{% endif %}
  {% endfor %}
  {% if loads %}
    {% set sql %}
      insert into {{ evidence }}.source_loads
      {% for source_id, loaded_at in loads %}
      select
          {{ martfeast.literal(invocation_id) }} as invocation_id,
          {{ martfeast.literal(source_id) }} as node_id,
          make_timestamp(epoch_us({{ loaded_at }})) as loaded_at
      {% if not loop.last %}
      union all
      {% endif %}
      {% endfor %}
    {% endset %}
    {% do run_query(sql) %}
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
