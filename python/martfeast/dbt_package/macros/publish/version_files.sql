{# Note in martfeast_intact the files of versions that have the bytes they were published with. #}
{% macro find_intact(folder) %}
  {% set published %}
    select path from martfeast_current
    where path is not null

    union

    select baseline as path from martfeast_current
    where baseline is not null
  {% endset %}
  {% set known %}
    select
        path,
        name,
        byte_count,
        modified,
        sha256
    from martfeast_published_partitions
    where modified is not null
  {% endset %}
  {% do martfeast.load_published_partitions() %}
  {% do martfeast.look_at_files(folder, published, known) %}
  {% do martfeast.find_intact_partitions() %}
  {% set sql %}
    create or replace temp table martfeast_intact as
    with published as (
        select
            path,
            byte_count,
            sha256
        from martfeast_current

        union

        select
            baseline as path,
            baseline_byte_count as byte_count,
            baseline_sha256 as sha256
        from martfeast_current
    )

    select
        found.path,
        found.is_folder
    from martfeast_found as found
    inner join published
        on
            found.path = published.path
            and found.byte_count = published.byte_count
            and (found.sha256 is not distinct from published.sha256)
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{# Note in martfeast_published_partitions which files have the bytes they were published with, and log which have not. #}
{% macro find_intact_partitions() %}
  {% set sql %}
    update martfeast_published_partitions
    set
        is_intact = true,
        modified_now = {{ martfeast.settled('files.modified') }}
    from martfeast_files as files
    where
        martfeast_published_partitions.path = files.path
        and martfeast_published_partitions.name = parse_filename(files.file, true)
        and martfeast_published_partitions.byte_count = files.byte_count
        and martfeast_published_partitions.sha256 is not distinct from files.sha256
  {% endset %}
  {% do run_query(sql) %}
  {% set sql %}
    select distinct path || '/' || name || '.parquet' as file from martfeast_published_partitions
    where not is_intact
    order by file
  {% endset %}
  {% for row in run_query(sql).rows[:5] %}
    {% do log('martfeast: ' ~ row['file'] ~ ' is not as it was published', info=true) %}
  {% endfor %}
{% endmacro %}


{#
  Note in martfeast_files, of each file of a version that is there among some, the version's path in the folder, the
  file's size and the SHA-256 of its bytes; and in martfeast_found the same of each version, which is one file or a
  folder of part files: that of a folder is of what `sha256sum` prints of its files, in the order of their names.
  DuckDB holds a file in memory for that: of one above 1 GiB, the size has to do.

  paths: SQL of a column `path`. known: SQL of files of partitions whose bytes are known by other means: path, name,
  byte_count, sha256, and modified, the time of their last change, or null where it does not matter. Those are not read.
#}
{% macro look_at_files(folder, paths, known) %}
  {% set sql %}
    create or replace temp table martfeast_files as
    with paths as (
        {{ paths | trim | indent(4) }}
    ),

    files as (
        select file from glob({{ martfeast.glob_literal(folder, '/marts/*/*.parquet') }})

        union all

        select file from glob({{ martfeast.glob_literal(folder, '/marts/*/*.parquet/*.parquet') }})
    )

    select
        paths.path,
        files.file,
        cast(null as bigint) as byte_count,
        cast(null as timestamp) as modified,
        cast(null as varchar) as sha256
    from paths
    inner join files
        on
            ends_with(files.file, '/' || paths.path)
            or ends_with(parse_dirpath(files.file), '/' || paths.path)
  {% endset %}
  {% do run_query(sql) %}
  {% do martfeast.fill_in_states(martfeast.files_of_bytes(0, 0), known) %}
  {% set groups = [martfeast.files_of_bytes(0, 67108864)] %}
  {% for file in martfeast.files_of_bytes(67108865, 1073741824) %}{% do groups.append([file]) %}{% endfor %}
  {% do martfeast.fill_in_files(groups, 'sha256', 'sha256(content)') %}
  {% set sql %}
    create or replace temp table martfeast_found as
    with versions as (
        select
            path,
            bool_or(not ends_with(file, '/' || path)) as is_folder,
            cast(sum(byte_count) as bigint) as byte_count,
            count(*) = count(sha256) as is_read,
            string_agg(sha256 || '  ' || parse_filename(file) || chr(10), '' order by file) as listed,
            min(sha256) as sha256
        from martfeast_files
        group by path
    )

    select
        path,
        is_folder,
        byte_count,
        case
            when not is_read then null
            when is_folder then sha256(listed)
            else sha256
        end as sha256
    from versions
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{# Fill in size and time of change of files in martfeast_files, and the SHA-256 of those whose bytes are known. #}
{% macro fill_in_states(files, known) %}
  {% if files %}
    {% set literals = [] %}
    {% for file in files %}{% do literals.append(martfeast.glob_literal(file, '')) %}{% endfor %}
    {% set sql %}
      update martfeast_files
      set
          byte_count = found.size,
          modified = cast(found.last_modified at time zone 'UTC' as timestamp)
      from (
          select
              filename,
              size,
              last_modified
          from read_blob([{{ literals | join(', ') }}])
      ) as found
      where martfeast_files.file = found.filename;

      update martfeast_files
      set sha256 = known.sha256
      from (
          {{ known | trim | indent(6) }}
      ) as known
      where
          martfeast_files.path = known.path
          and parse_filename(martfeast_files.file, true) = known.name
          and martfeast_files.byte_count = known.byte_count
          and martfeast_files.modified = coalesce(known.modified, martfeast_files.modified)
    {% endset %}
    {% do run_query(sql) %}
  {% endif %}
{% endmacro %}


{#
  The files in martfeast_files of a size in bytes, both ends included, whose bytes are not known; one whose size is
  not noted yet has none.
#}
{% macro files_of_bytes(least, most) %}
  {% set sql %}
    select distinct file from martfeast_files
    where
        sha256 is null
        and coalesce(byte_count, 0) between {{ least }} and {{ most }}
    order by file
  {% endset %}
  {{ return(run_query(sql).columns[0].values() | list) }}
{% endmacro %}


{# Fill in a column of martfeast_files with what a read of each file gives, group by group. #}
{% macro fill_in_files(groups, column, read) %}
  {% for group in groups if group %}
    {% set files = [] %}
    {% for file in group %}{% do files.append(martfeast.glob_literal(file, '')) %}{% endfor %}
    {% set sql %}
      update martfeast_files
      set {{ column }} = found.{{ column }}
      from (
          select
              filename,
              {{ read }} as {{ column }}
          from read_blob([{{ files | join(', ') }}])
      ) as found
      where martfeast_files.file = found.filename
    {% endset %}
    {% do run_query(sql) %}
  {% endfor %}
{% endmacro %}


{#
  Note in martfeast_measured the size and bytes of the files that were written for it. is_partitioned: whether some are
  of partitions.
#}
{% macro note_written(folder, is_partitioned) %}
  {% set written %}
    select path from martfeast_measured
    where is_copied
  {% endset %}
  {% set linked %}
    select
        martfeast_measured.path,
        martfeast_partitions.name,
        martfeast_partitions.byte_count,
        cast(null as timestamp) as modified,
        martfeast_partitions.sha256
    from martfeast_partitions
    inner join martfeast_measured on martfeast_partitions.mart_id = martfeast_measured.mart_id
    where martfeast_partitions.linked_from is not null
  {% endset %}
  {% do martfeast.look_at_files(folder, written, linked) %}
  {% if is_partitioned %}{% do martfeast.note_partitions() %}{% endif %}
  {% set sql %}
    update martfeast_measured
    set
        byte_count = found.byte_count,
        sha256 = found.sha256
    from martfeast_found as found
    where martfeast_measured.path = found.path
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}
