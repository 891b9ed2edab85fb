{#
  Make a view in place of each source that is another project's mart (`published_path` under its meta.feast) and that
  this run reads: of the version that holds there now. All models of a run so read one release. `dbt test` leaves a view
  that is there as it is: what it tests are the rows that models were built from.
#}
{% macro make_shared_views() %}
  {% if execute and flags.WHICH in ['build', 'run', 'test', 'seed', 'snapshot', 'freshness'] %}
    {% set sources = martfeast.shared_sources_read() %}
    {% if sources %}{% do adapter.dispatch('make_views_of', 'martfeast')(sources) %}{% endif %}
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


{# Add a node and what it reads to a list; of what is ephemeral, what that reads too. #}
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


{% macro default__make_views_of(sources) %}
  {% do martfeast.refuse_shared(
    sources[0], "models read other projects' marts on DuckDB only, and this target is of type " ~ target.type,
    'take it out of the models; feature services can have it on any engine'
  ) %}
{% endmacro %}

{% macro duckdb__make_views_of(sources) %}
  {% set folders = {} %}
  {% for source in sources %}
    {% set relation = martfeast.shared_relation(source) %}
    {% if flags.WHICH not in ['test', 'freshness'] or not load_relation(relation) %}
      {% do folders.setdefault(martfeast.shared_folder(source), []).append(source) %}
    {% endif %}
  {% endfor %}
  {% for folder, sources_there in folders.items() %}
    {% do martfeast.load_shared_release(sources_there, folder) %}
    {% for source in sources_there %}{% do martfeast.make_shared_view(source, folder) %}{% endfor %}
  {% endfor %}
{% endmacro %}


{# The relation that a shared source is in this project's warehouse. #}
{% macro shared_relation(source) %}
  {{ return(api.Relation.create(database=source.database, schema=source.schema, identifier=source.identifier)) }}
{% endmacro %}


{# The folder of published marts that a shared source comes from; a relative path is relative to this project. #}
{% macro shared_folder(source) %}
  {% set path = martfeast.feast_meta(source)['published_path'] %}
  {% set path = path[7:] if path.startswith('file://') else path %}
  {% set root = invocation_args_dict.get('project_dir') or '.' %}
  {{ return((path if path.startswith('/') else root ~ '/' ~ path).rstrip('/')) }}
{% endmacro %}


{# Note in martfeast_shared what the release that holds in a folder says of its marts, and in martfeast_found their files. #}
{% macro load_shared_release(sources, folder) %}
  {% set file_count = martfeast.read_newest_release(folder, '/current.json') %}
  {% set sql %}
    create or replace temp table martfeast_shared as
    with entries as (
        select unnest(from_json(release -> '$.marts', {{ martfeast.literal(tojson([{
          'mart': 'VARCHAR',
          'version': 'VARCHAR',
          'path': 'VARCHAR',
          'byte_count': 'BIGINT',
          'sha256': 'VARCHAR',
          'held_back': ['VARCHAR'],
          'sharing': {'access': 'VARCHAR', 'group': 'VARCHAR', 'deprecation_date': 'VARCHAR'}
        }])) }})) as entry
        from martfeast_readable
    )

    select
        entry.mart as mart,
        entry.version as version,
        entry.path as path,
        entry.byte_count as byte_count,
        entry.sha256 as sha256,
        entry.held_back[1]
        || case when len(entry.held_back) > 1 then ' and ' || (len(entry.held_back) - 1) || ' more' else '' end as held_back,
        entry.sharing.access as access,
        entry.sharing."group" as group_name,
        left(entry.sharing.deprecation_date, 10) as deprecation_date
    from entries
  {% endset %}
  {% do run_query(sql) %}
  {% set sql %}
    select count(*) as found from martfeast_readable
  {% endset %}
  {% if not run_query(sql).rows[0]['found'] %}
    {% do martfeast.refuse_shared(
      sources[0], folder ~ '/current.json is missing, damaged or of another martfeast',
      'correct published_path, or have its owner run dbt build'
    ) %}
  {% endif %}
  {% set names = [] %}
  {% for source in sources %}{% do names.append(martfeast.literal(source.identifier)) %}{% endfor %}
  {% set paths %}
    select path from martfeast_shared
    where mart in ({{ names | join(', ') }})
  {% endset %}
  {% set nothing %}
    select
        path,
        '' as name,
        byte_count,
        cast(null as timestamp) as modified,
        sha256
    from martfeast_shared
    where false
  {% endset %}
  {% do martfeast.look_at_files(folder, paths, nothing) %}
{% endmacro %}


{# Make the view of a shared source, unless its mart may not be used or its file is not as it was published. #}
{% macro make_shared_view(source, folder) %}
  {% set sql %}
    select
        martfeast_shared.*,
        found.is_folder,
        coalesce(
            found.byte_count = martfeast_shared.byte_count
            and (found.sha256 is not distinct from martfeast_shared.sha256),
            false
        ) as is_intact
    from martfeast_shared
    left join martfeast_found as found on martfeast_shared.path = found.path
    where martfeast_shared.mart = {{ martfeast.literal(source.identifier) }}
  {% endset %}
  {% set marts = run_query(sql).rows %}
  {% set mart = marts[0] if marts else none %}
  {% if not mart %}
    {% do martfeast.refuse_shared(source, folder ~ ' has no mart ' ~ source.identifier, 'martfeast status, which names those that are there') %}
  {% elif not mart['access'] %}
    {% do martfeast.refuse_shared(
      source, folder ~ ' does not say who may use it, because an earlier martfeast wrote it',
      'have it published again: dbt deps, dbt build'
    ) %}
  {% elif mart['access'] != 'public' %}
    {% do martfeast.refuse_shared(
      source, 'it is ' ~ mart['access'] ~ ' in the project that owns it',
      'ask group ' ~ (mart['group_name'] or '(none)') ~ ' there to set access: public'
    ) %}
  {% elif not mart['version'] %}
    {% do martfeast.refuse_shared(source, 'no version of it is published: ' ~ mart['held_back'], 'ask its owner') %}
  {% elif not mart['is_intact'] %}
    {% do martfeast.refuse_shared(
      source, folder ~ '/' ~ mart['path'] ~ ' is gone, or has other bytes than were published',
      'have its owner run dbt build'
    ) %}
  {% endif %}
  {% set relation = martfeast.shared_relation(source) %}
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
  {% do log(
    'martfeast: source ' ~ source.source_name ~ '.' ~ source.name ~ ' is version ' ~ mart['version']
    ~ ('; its owner holds back newer rows: ' ~ mart['held_back'] if mart['held_back'] else '')
    ~ ('; its deprecation date is ' ~ mart['deprecation_date'] if mart['deprecation_date'] else ''), info=true
  ) %}
{% endmacro %}


{# Stop the run: a shared source cannot be read. #}
{% macro refuse_shared(source, why, fix) %}
  {% do exceptions.raise_compiler_error(
    'Source ' ~ source.source_name ~ '.' ~ source.name ~ ' cannot be read: ' ~ why ~ '. Nothing was built. Next: ' ~ fix ~ '.'
  ) %}
{% endmacro %}
