{#
  Load the marts of the current release, one row per mart; none when nothing is published yet. A current.json
  that cannot be read, was edited, or has a value of another kind is passed over for the newest release that
  has none of this, and replaced at the end of this run.
#}
{% macro load_current_release(folder, shown) %}
  {% set file_count = martfeast.read_newest_release(folder, '/current.json') %}
  {% set sql %}
    select typed from martfeast_readable
  {% endset %}
  {% if not run_query(sql).rows %}
    {% set file_count = file_count + martfeast.read_newest_release(folder, '/releases/*.json') %}
    {% if file_count %}
      {% do log('martfeast: ' ~ shown ~ '/current.json is missing, damaged, edited or of an older martfeast; it is written anew from the newest release', info=true) %}
    {% endif %}
  {% endif %}
  {% set sql %}
    create or replace temp table martfeast_current as
    with entries as (
        select
            typed.release_number,
            unnest(typed.marts) as entry
        from martfeast_readable
    ),

    fields as (
        select
            release_number,
            unnest(entry)  -- noqa: AL03
        from entries
    )

    select
        fields.* replace (  -- noqa: RF02
            to_json(columns) as columns,
            to_json(tests) as tests,
            to_json(sources) as sources,
            to_json(lineage) as lineage,
            to_json(restated_partitions) as restated_partitions,
            case when partitions is not null then to_json(partitions) end as partitions,
            case when baseline_partitions is not null then to_json(baseline_partitions) end as baseline_partitions
        )
    from fields
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{#
  A folder holds the releases of one target of one database: another one has other rows, and would publish over
  them. Why this run is another one, and what to do; none if it is the same, or the first. A database is known by
  the number in its evidence, or by its place in the profile, where it was built anew.
#}
{% macro other_line(shown) %}
  {% set sql %}
    select
        typed.target as target_name,
        typed.target_schema as schema_name,
        typed.location,
        typed.warehouse_id,
        (select warehouse.warehouse_id from {{ martfeast.evidence_schema() }}.warehouse) as this_warehouse_id
    from martfeast_readable
  {% endset %}
  {% for line in run_query(sql).rows if line['target_name'] and not var('martfeast_take_over', false) %}
    {% set is_same_database = line['warehouse_id'] == line['this_warehouse_id'] or line['location'] == martfeast.location() %}
    {% if line['target_name'] != target.name or line['schema_name'] != target.schema or not is_same_database %}
      {{ return(
        shown ~ ' holds what target ' ~ line['target_name'] ~ ' published (' ~ line['location'] ~ ', schema '
        ~ line['schema_name'] ~ '), and this run is of target ' ~ target.name ~ ' (' ~ martfeast.location()
        ~ ', schema ' ~ target.schema ~ '). Give each a folder of its own, published_path: {' ~ line['target_name']
        ~ ': ' ~ shown ~ ', ...}; or, to publish here from now on, run once with --vars \'martfeast_take_over: true\''
      ) }}
    {% endif %}
  {% endfor %}
  {{ return(none) }}
{% endmacro %}


{# Where the target's database is, as the profile has it. #}
{% macro location() %}
  {% set engine = martfeast.other_engine() or {} %}
  {{ return((engine.get('location') or target.get('path') or target.get('host') or target.database) | string) }}
{% endmacro %}


{# The format of releases: up by one with every change that another version of martfeast would misread. #}
{% macro release_format() %}
  {{ return(6) }}
{% endmacro %}


{# The highest number in the names of releases, readable or not; 0 without any. #}
{% macro newest_release_number(folder) %}
  {% set sql %}
    select cast(coalesce(max(try_cast(parse_filename(file, true) as bigint)), 0) as bigint) as number
    from glob({{ martfeast.glob_literal(folder, '/releases/*.json') }})
  {% endset %}
  {{ return(run_query(sql).rows[0]['number']) }}
{% endmacro %}


{# Read the newest release that can be read among some files; return how many files there are. #}
{% macro read_newest_release(folder, pattern) %}
  {% set sql %}
    select file from glob({{ martfeast.glob_literal(folder, pattern) }})
    where not starts_with(parse_filename(file), 'tmp_')
  {% endset %}
  {% set files = [] %}
  {% for file in run_query(sql).columns[0].values() %}
    {% do files.append(martfeast.glob_literal(file, '')) %}
  {% endfor %}
  {% set sql %}
    create or replace temp table martfeast_readable as
    with contents as (
        {% if files %}
        select try(decode(content)) as content
        from read_blob([{{ files | join(', ') }}])
        {% else %}
        select cast(null as varchar) as content
        where false
        {% endif %}
    ),

    releases as (
        select
            content,
            try_cast(content as json) as release
        from contents
    ),

    read as (
        select
            release,
            try(from_json_strict(release, {{ martfeast.literal(tojson(martfeast.release_structure())) }})) as typed
        from releases
        where
            release ->> '$.format' = '{{ martfeast.release_format() }}'
            -- Of what follows the checksum, as the Python package has it: {"checksum":"<64 digits>", is 79 long.
            and release ->> '$.checksum' = sha256('{' || trim(content[80:], chr(10)))
    )

    select
        read.typed,
        read.release
    from read
    where
        read.typed.release_number > 0
        and json_type(read.release, '$.target') = 'VARCHAR'
        and json_type(read.release, '$.target_schema') = 'VARCHAR'
        and json_type(read.release, '$.engine') = 'VARCHAR'
        and json_type(read.release, '$.location') = 'VARCHAR'
        and json_type(read.release, '$.warehouse_id') = 'VARCHAR'
        and len(list_distinct([mart.unique_id for mart in read.typed.marts])) = len(read.typed.marts)
        and len([mart for mart in read.typed.marts if not {{ martfeast.is_whole('mart') }}]) = 0
    order by read.typed.release_number desc
    limit 1
  {% endset %}
  {% do run_query(sql) %}
  {{ return(files | length) }}
{% endmacro %}


{# Write every version that is new, and say first, in pending.json, which ones these are. #}
{% macro write_versions(folder, shown) %}
  {% set sql %}
    select
        mart_id,
        path,
        parse_dirpath(path) in (select parse_dirpath(martfeast_intact.path) from martfeast_intact) as has_folder,
        mart_id in (select martfeast_partitions.mart_id from martfeast_partitions) as is_partitioned
    from martfeast_measured
    where is_copied
    order by mart_id
  {% endset %}
  {% set copies = run_query(sql).rows %}
  {% if copies %}
    {% do log(
      'martfeast: writing ' ~ copies | length ~ (' version' if copies | length == 1 else ' versions') ~ ' to ' ~ shown
      ~ '; if that fails, the last release stays: mend the cause, then run dbt build', info=true
    ) %}
    {% do martfeast.make_folder(folder, 'releases') %}
    {% do martfeast.make_folder(folder, 'marts') %}
    {% do martfeast.write_pending(folder, copies | map(attribute='path') | list) %}
    {% for copy in copies if not martfeast.other_engine() %}
      {% set mart = graph.nodes[copy['mart_id']] %}
      {% if not copy['has_folder'] %}
        {% do martfeast.make_folder(folder ~ '/marts', martfeast.mart_folder(mart)) %}
      {% endif %}
      {% if copy['is_partitioned'] %}
        {% do martfeast.write_partitions(mart, folder, copy['path']) %}
      {% else %}
        {% do martfeast.copy_mart(mart, mart.relation_name, folder ~ '/' ~ copy['path'], 'true') %}
      {% endif %}
    {% endfor %}
    {% do martfeast.note_written(folder, copies | selectattr('is_partitioned') | list | length > 0) %}
  {% endif %}
{% endmacro %}


{# Say which versions this run sets out to write. #}
{% macro write_pending(folder, paths) %}
  {% set pending %}
    select
        {{ martfeast.literal(invocation_id) }} as invocation_id,
        from_json({{ martfeast.literal(tojson(paths)) }}, '["VARCHAR"]') as paths
  {% endset %}
  {% do martfeast.write_json(pending, folder ~ '/pending.json') %}
{% endmacro %}


{#
  Write a version: the mart's columns in the order of its contract, then `published_at`, when this run began
  (UTC). Rows are ordered by the mart's timestamp and entity columns. relation: what has them. condition: SQL, which.
#}
{% macro copy_mart(mart, relation, path, condition) %}
  {% set order = [] %}
  {% for name in martfeast.sort_names(mart) %}{% do order.append(adapter.quote(name)) %}{% endfor %}
  {% set sql %}
    copy (
        select
            {{ martfeast.published_columns(mart) | join(',\n            ') }},
            {{ martfeast.literal(run_started_at) }} as published_at
        from {{ relation }}
        where {{ condition }}
        order by {{ (order or ['all']) | join(', ') }}
    ) to {{ martfeast.literal(path) }} (format parquet, compression zstd, use_tmp_file true)
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{# The names of the mart's timestamp and entity columns. #}
{% macro sort_names(mart) %}
  {% set names = [] %}
  {% set feast = martfeast.feast_meta(mart) %}
  {% set timestamp = feast.get('timestamp') if feast is mapping else none %}
  {% if martfeast.own_column(mart, timestamp) %}{% do names.append(timestamp) %}{% endif %}
  {% for column in mart.columns.values() %}
    {% set column_feast = martfeast.feast_meta(column) %}
    {% if column_feast is mapping and column_feast.get('entity') %}{% do names.append(column.name) %}{% endif %}
  {% endfor %}
  {{ return(names) }}
{% endmacro %}


{# Write the release that holds from now on; where it has a new version, under its number too. #}
{% macro write_release(folder, number, is_new) %}
  {% set release %}
    select
        {{ martfeast.release_format() }} as format,
        {{ number }} as release_number,
        {{ martfeast.literal(invocation_id) }} as judged_by,
        {{ martfeast.literal(run_started_at.strftime('%Y-%m-%dT%H:%M:%SZ')) }} as judged_at,
        {{ martfeast.literal(target.name) }} as target,
        {{ martfeast.literal(target.schema) }} as target_schema,
        {{ martfeast.literal(martfeast.engine_name()) }} as engine,
        {{ martfeast.literal(martfeast.location()) }} as location,
        (select warehouse.warehouse_id from {{ martfeast.evidence_schema() }}.warehouse) as warehouse_id,
        coalesce(list(martfeast_release order by mart), []) as marts
    from martfeast_release
  {% endset %}
  {% if is_new %}
    {% do martfeast.make_folder(folder, 'releases') %}
    {% do martfeast.write_record(release, folder ~ '/releases/' ~ '%06d' % number ~ '.json') %}
  {% endif %}
  {% do martfeast.write_record(release, folder ~ '/current.json') %}
{% endmacro %}


{# The folder of a mart's versions: unlike its alias, a model's unique_id is nobody else's. #}
{% macro mart_folder(mart) %}
  {{ return(mart.unique_id.split('.', 1)[1]) }}
{% endmacro %}


{# Names the version of a mart that this run writes. #}
{% macro version_name() %}
  {{ return(run_started_at.strftime('%Y%m%dT%H%M%SZ') ~ '-' ~ invocation_id[:8]) }}
{% endmacro %}


{# The path of the version that this run writes of a mart, in the folder that is published to. #}
{% macro version_path(mart) %}
  {{ return('marts/' ~ martfeast.mart_folder(mart) ~ '/' ~ martfeast.version_name() ~ '.parquet') }}
{% endmacro %}


{# A path, taken as it is, and a pattern after it, as a literal for DuckDB's glob and read functions. #}
{% macro glob_literal(path, pattern) %}
  {% set plain = path | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]') %}
  {{ return(martfeast.literal(plain ~ pattern)) }}
{% endmacro %}


{# As write_json, with the SHA-256 of all that follows it in front. #}
{% macro write_record(query, path) %}
  {% set sealed %}
    with record as (
        {{ query | trim | indent(4) }}
    )

    select
        sha256(cast(to_json(record) as varchar)) as checksum,
        record.*
    from record
  {% endset %}
  {% do martfeast.write_json(sealed, path) %}
{% endmacro %}


{# Replace a JSON file with the one row of a query, by one rename. #}
{% macro write_json(query, path) %}
  {% set sql %}
    copy ({{ query }}) to {{ martfeast.literal(path) }} (format json, use_tmp_file true)
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{#
  Make a folder and those between it and one that is there, where they are missing. DuckDB has no statement for
  that, but a partitioned COPY makes its folder, one level at a time, and a COPY of no rows leaves nothing in it.
#}
{% macro make_folder(there, folder) %}
  {% set levels = folder.split('/') %}
  {% set start = there ~ '/' if there else '' %}
  {% for depth in range(1, levels | length + 1) if levels[depth - 1] %}
    {% set sql %}
      copy (
          select
              1 as a,
              2 as b
          where false
      ) to {{ martfeast.literal(start ~ levels[:depth] | join('/')) }} (format parquet, partition_by (a), append)
    {% endset %}
    {% do run_query(sql) %}
  {% endfor %}
{% endmacro %}
