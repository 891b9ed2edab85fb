{#
  Make a view in place of each source that is another project's mart (`published_path` under its meta.feast) and that
  this run reads: of the version that holds there now. All models of a run so read the same version. `dbt test` leaves a
  view that is there as it is: what it tests are the rows that models were built from.
#}
{% macro make_shared_views() %}
  {% if execute and flags.WHICH in ['build', 'run', 'test', 'seed', 'snapshot', 'freshness'] %}
    {% for source in martfeast.shared_sources_read() %}
      {% do adapter.dispatch('make_shared_view', 'martfeast')(source) %}
    {% endfor %}
  {% endif %}
{% endmacro %}


{# The sources that are other projects' marts and that a selected node reads, or that are selected. #}
{% macro shared_sources_read() %}
  {% set read = [] %}
  {% for node_id in selected_resources %}{% do martfeast.collect_read(node_id, read) %}{% endfor %}
  {% set found = [] %}
  {% for source in graph.sources.values() if source.unique_id in read %}
    {% set feast = martfeast.feast_meta(source) %}
    {% if feast is mapping and feast.get('published_path') is string %}{% do found.append(source) %}{% endif %}
  {% endfor %}
  {{ return(found) }}
{% endmacro %}


{# Add a node, what it reads, and what the ephemeral models among these read, to a list. #}
{% macro collect_read(node_id, read) %}
  {% if node_id not in read %}{% do read.append(node_id) %}{% endif %}
  {% for parent in (graph.nodes.get(node_id) or {}).get('depends_on', {}).get('nodes', []) if parent not in read %}
    {% if (graph.nodes.get(parent) or {}).get('config', {}).get('materialized') == 'ephemeral' %}
      {% do martfeast.collect_read(parent, read) %}
    {% else %}
      {% do read.append(parent) %}
    {% endif %}
  {% endfor %}
{% endmacro %}


{# As the engine has it: source: one of those that `shared_sources_read` gives. #}
{% macro default__make_shared_view(source) %}
  {% do exceptions.raise_compiler_error(
    'Source ' ~ source.source_name ~ '.' ~ source.name ~ " is another project's mart, and models read it on DuckDB only; "
    ~ 'this target is of type ' ~ target.type ~ '. Nothing was changed. Feature services can have it on any engine: take '
    ~ 'it out of the models.'
  ) %}
{% endmacro %}

{% macro duckdb__make_shared_view(source) %}
  {% set relation = api.Relation.create(database=source.database, schema=source.schema, identifier=source.identifier) %}
  {% if flags.WHICH in ['test', 'freshness'] and load_relation(relation) %}{{ return(none) }}{% endif %}
  {% set folder = martfeast.shared_folder(source) %}
  {% set mart = martfeast.shared_mart(source, folder) %}
  {% set sql %}
    create schema if not exists {{ relation.without_identifier() }};

    create or replace view {{ relation }} as
    select *
    from read_parquet(
        {{ martfeast.glob_literal(folder ~ '/' ~ mart['path'], '/*.parquet' if mart['is_folder'] else '') }},
        hive_partitioning = false
    )
  {% endset %}
  {% do run_query(sql) %}
  {% do log('martfeast: source ' ~ source.source_name ~ '.' ~ source.name ~ ' is version ' ~ mart['version'] ~ ' of ' ~ folder, info=true) %}
{% endmacro %}


{# The folder of published marts that a shared source comes from; a relative path is relative to this project. #}
{% macro shared_folder(source) %}
  {% set path = martfeast.feast_meta(source)['published_path'] %}
  {% set path = path[7:] if path.startswith('file://') else path %}
  {% set root = invocation_args_dict.get('project_dir') or '.' %}
  {{ return((path if path.startswith('/') else root ~ '/' ~ path).rstrip('/')) }}
{% endmacro %}


{#
  The version that a shared source is of: version, path and is_folder, once it is seen that the other project publishes it,
  that it is public, and that the file has the bytes that were published. Anything else stops the run.
#}
{% macro shared_mart(source, folder) %}
  {% set name = source.source_name ~ '.' ~ source.name %}
  {% set file_count = martfeast.read_newest_release(folder, '/current.json') %}
  {% set sql %}
    with entries as (
        select unnest(
            from_json(
                release -> '$.marts',
                '[{"mart": "VARCHAR", "version": "VARCHAR", "path": "VARCHAR", "byte_count": "BIGINT", "sha256": "VARCHAR",'
                ' "held_back": ["VARCHAR"], "sharing": {"access": "VARCHAR", "group": "VARCHAR"}}]'
            )
        ) as entry
        from martfeast_readable
    )

    select
        entry.version as version,
        entry.path as path,
        entry.byte_count as byte_count,
        entry.sha256 as sha256,
        array_to_string(entry.held_back, '; ') as held_back,
        entry.sharing.access as access,
        entry.sharing."group" as group_name
    from entries
    where entry.mart = {{ martfeast.literal(source.identifier) }}
  {% endset %}
  {% set marts = run_query(sql).rows %}
  {% set sql %}
    select typed from martfeast_readable
  {% endset %}
  {% if not run_query(sql).rows %}
    {% do martfeast.refuse_shared(name, folder ~ '/current.json is missing, damaged or of another martfeast', 'have its owner run dbt build, or correct published_path') %}
  {% elif not marts %}
    {% do martfeast.refuse_shared(name, folder ~ ' has no mart ' ~ source.identifier ~ ' any more, or never had', 'name one that is there, or ask its owner') %}
  {% elif not marts[0]['access'] %}
    {% do martfeast.refuse_shared(name, folder ~ ' does not say who may use ' ~ source.identifier, 'ask its owner to publish it again with this martfeast: dbt deps, dbt build') %}
  {% elif marts[0]['access'] != 'public' %}
    {% do martfeast.refuse_shared(
      name, source.identifier ~ ' is ' ~ marts[0]['access'] ~ ' in the project that owns it',
      'ask group ' ~ (marts[0]['group_name'] or '(none)') ~ ' there to make it public'
    ) %}
  {% elif not marts[0]['version'] %}
    {% do martfeast.refuse_shared(name, 'no version of ' ~ source.identifier ~ ' is published: ' ~ marts[0]['held_back'], 'ask its owner') %}
  {% endif %}
  {% set mart = marts[0] %}
  {% set nothing %}
    select
        '' as path,
        '' as name,
        cast(0 as bigint) as byte_count,
        cast(null as timestamp) as modified,
        '' as sha256
    where false
  {% endset %}
  {% do martfeast.look_at_files(folder, 'select ' ~ martfeast.literal(mart['path']) ~ ' as path', nothing) %}
  {% set sql %}
    select
        is_folder,
        byte_count,
        sha256
    from martfeast_found
  {% endset %}
  {% set found = run_query(sql).rows %}
  {% if not found or found[0]['byte_count'] != mart['byte_count'] or found[0]['sha256'] != mart['sha256'] %}
    {% do martfeast.refuse_shared(name, folder ~ '/' ~ mart['path'] ~ ' is gone, or has other bytes than were published', 'ask its owner to run dbt build') %}
  {% endif %}
  {{ return({'version': mart['version'], 'path': mart['path'], 'is_folder': found[0]['is_folder']}) }}
{% endmacro %}


{# Stop the run: a shared source cannot be read. #}
{% macro refuse_shared(name, why, fix) %}
  {% do exceptions.raise_compiler_error('Source ' ~ name ~ ' cannot be read: ' ~ why ~ '. Nothing was built. Next: ' ~ fix ~ '.') %}
{% endmacro %}
