{#
  Note in martfeast_published_partitions the files of partitions that the current release names, of its versions and
  of those that history is compared with. Whether they are intact, find_intact notes.
#}
{% macro load_published_partitions() %}
  {% set sql %}
    create or replace temp table martfeast_published_partitions as
    with versions as (
        select
            unique_id,
            path,
            true as is_newest,
            coalesce(baseline, path) = path as is_baseline,
            partitions
        from martfeast_current
        where partitions is not null

        union all

        select
            unique_id,
            baseline as path,
            false as is_newest,
            true as is_baseline,
            baseline_partitions as partitions
        from martfeast_current
        where
            baseline <> path
            and baseline_partitions is not null
    ),

    files as (
        select
            unique_id,
            path,
            is_newest,
            is_baseline,
            partitions ->> '$.layout' as layout,
            partitions ->> '$.hashed_by' as hashed_by,
            unnest(from_json(partitions -> '$.files', {{ martfeast.literal(tojson(martfeast.partition_structure()['files'])) }})) as file
        from versions
    )

    select
        files.unique_id,
        files.path,
        files.is_newest,
        files.is_baseline,
        files.layout,
        files.hashed_by,
        files.file.name,
        files.file.starts_at,
        files.file.row_count,
        files.file.covered_row_count,
        files.file.last_covered_at,
        files.file.fingerprint,
        cast(files.file.lower_sum as hugeint) as lower_sum,
        cast(files.file.upper_sum as hugeint) as upper_sum,
        files.file.byte_count,
        files.file.modified,
        files.file.sha256,
        false as is_intact,
        cast(null as timestamp) as modified_now
    from files
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{# What a release says of a version's partitions, and of which type. #}
{% macro partition_structure() %}
  {{ return({
    'size': 'VARCHAR',
    'layout': 'VARCHAR',
    'hashed_by': 'VARCHAR',
    'files': [{
      'name': 'VARCHAR',
      'starts_at': 'TIMESTAMP',
      'row_count': 'BIGINT',
      'covered_row_count': 'BIGINT',
      'last_covered_at': 'TIMESTAMP',
      'fingerprint': 'VARCHAR',
      'lower_sum': 'VARCHAR',
      'upper_sum': 'VARCHAR',
      'byte_count': 'BIGINT',
      'modified': 'TIMESTAMP',
      'sha256': 'VARCHAR'
    }]
  }) }}
{% endmacro %}


{# Whether what a release says of a version's partitions, given as SQL, is whole; SQL. #}
{% macro is_whole_partitions(partitions) %}
  {% set sql %}(
                    {{ partitions }} is null
                    or (
                        {{ partitions }}.size in ('day', 'month')
                        and {{ partitions }}.layout is not null
                        and {{ partitions }}.hashed_by is not null
                        and len({{ partitions }}.files) > 0
                        and len(
                            [
                                one for one in {{ partitions }}.files  -- noqa: RF03
                                if not coalesce(
                                    regexp_full_match(one.name, '[0-9]{4}-[0-9]{2}(-[0-9]{2})?|no_time')
                                    and one.row_count > 0
                                    and one.covered_row_count between 0 and one.row_count
                                    and one.byte_count >= 0
                                    and one.fingerprint is not null
                                    and try_cast(one.lower_sum as hugeint) is not null
                                    and try_cast(one.upper_sum as hugeint) is not null,
                                    false
                                )
                            ]
                        ) = 0
                    )
                ){% endset %}
  {{ return(sql) }}
{% endmacro %}


{#
  Write a version in partitions: a file for each, named by its day or month (UTC). A file of the version before whose
  rows are the same is linked, by the function martfeast_link of the Python package where the profile loads it, and
  else copied: SQL can copy bytes and cannot link.
#}
{% macro write_partitions(mart, folder, path) %}
  {% do martfeast.make_folder(folder ~ '/' ~ path.rsplit('/', 1)[0], path.rsplit('/', 1)[1]) %}
  {% set sql %}
    select
        name,
        cast(starts_at as varchar) as starts_at,
        linked_from
    from martfeast_partitions
    where mart_id = {{ martfeast.literal(mart.unique_id) }}
    order by name
  {% endset %}
  {% set partitions = run_query(sql).rows %}
  {% set timestamp = adapter.quote(martfeast.feast_meta(mart)['timestamp']) %}
  {% set relation = martfeast.rows_to_write(mart, partitions) %}
  {% set pairs = [] %}
  {% for partition in partitions %}
    {% set file = folder ~ '/' ~ path ~ '/' ~ partition['name'] ~ '.parquet' %}
    {% if partition['linked_from'] %}
      {% do pairs.append([folder ~ '/' ~ partition['linked_from'], file]) %}
    {% elif partition['starts_at'] %}
      {% set start = 'cast(' ~ martfeast.literal(partition['starts_at']) ~ ' as timestamp)' %}
      {% do martfeast.copy_mart(
        mart, relation, file, timestamp ~ ' >= ' ~ start ~ ' and ' ~ timestamp ~ ' < ' ~ start ~ ' + interval 1 ' ~ martfeast.partition_size(mart)
      ) %}
    {% else %}
      {% do martfeast.copy_mart(mart, relation, file, timestamp ~ ' is null') %}
    {% endif %}
  {% endfor %}
  {% if pairs %}{% do martfeast.link_files(pairs) %}{% endif %}
{% endmacro %}


{# The relation to write partitions of a mart from: a view would be computed for each, so its rows are kept meanwhile. #}
{% macro rows_to_write(mart, partitions) %}
  {% if mart.config.materialized in ['table', 'incremental'] %}{{ return(mart.relation_name) }}{% endif %}
  {% set starts = [] %}
  {% for partition in partitions if not partition['linked_from'] %}{% do starts.append(partition['starts_at']) %}{% endfor %}
  {% set sql %}
    create or replace temp table martfeast_rows_to_write as
    select {{ martfeast.published_columns(mart) | join(', ') }}
    from {{ mart.relation_name }} as mart
    where {{ martfeast.is_in_partitions(mart, 'mart', starts) }}
  {% endset %}
  {% do run_query(sql) %}
  {{ return('martfeast_rows_to_write') }}
{% endmacro %}


{# Link files under other names, or copy them where nothing can link. pairs: of each file, its path and the new one. #}
{% macro link_files(pairs) %}
  {% set sql %}
    select count(*) as function_count from duckdb_functions()
    where function_name = 'martfeast_link'
  {% endset %}
  {% if run_query(sql).rows[0]['function_count'] %}
    {% do run_query('select martfeast_link(' ~ martfeast.literal(tojson(pairs)) ~ ')') %}
  {% else %}
    {% for file, new in pairs %}
      {% set sql %}
        copy (
            select content
            from read_blob({{ martfeast.glob_literal(file, '') }})
        ) to {{ martfeast.literal(new) }} (format blob)
      {% endset %}
      {% do run_query(sql) %}
    {% endfor %}
    {% do log(
      'martfeast: ' ~ pairs | length ~ ' files of partitions that did not change were copied. To link them instead, add to '
      ~ 'the target in profiles.yml: plugins: [{module: martfeast.publishing.links}]', info=true
    ) %}
  {% endif %}
{% endmacro %}


{#
  Note in martfeast_partitions the size and bytes of the files that were written, and in martfeast_measured what the
  release says of partitions.
#}
{% macro note_partitions() %}
  {% set sql %}
    update martfeast_partitions
    set
        byte_count = files.byte_count,
        modified = {{ martfeast.settled('files.modified') }},
        sha256 = files.sha256
    from martfeast_files as files
    inner join martfeast_measured as measured on files.path = measured.path
    where
        martfeast_partitions.mart_id = measured.mart_id
        and martfeast_partitions.name = parse_filename(files.file, true)
        and martfeast_partitions.linked_from is null;

    update martfeast_measured
    set partitions = noted.partitions
    from (
        select
            mart_id,
            to_json(
                {
                    'size': any_value(size),
                    'layout': any_value(layout),
                    'hashed_by': version(),
                    'files': list(
                        {
                            'name': name,
                            'starts_at': starts_at,
                            'row_count': row_count,
                            'covered_row_count': covered_row_count,
                            'last_covered_at': last_covered_at,
                            'fingerprint': fingerprint,
                            'lower_sum': cast(lower_sum as varchar),
                            'upper_sum': cast(upper_sum as varchar),
                            'byte_count': byte_count,
                            'modified': modified,
                            'sha256': sha256
                        }
                        order by name
                    )
                }
            ) as partitions
        from martfeast_partitions
        group by mart_id
    ) as noted
    where martfeast_measured.mart_id = noted.mart_id
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{#
  The time of a file's last change, SQL, if another change from now on would have another time; else null. DuckDB sees
  whole seconds, and the file system's clock may be another one.
#}
{% macro settled(modified) %}
  {{ return(
    'case when ' ~ modified ~ " < cast(get_current_timestamp() at time zone 'UTC' as timestamp) - interval 3 second then "
    ~ modified ~ ' end'
  ) }}
{% endmacro %}
