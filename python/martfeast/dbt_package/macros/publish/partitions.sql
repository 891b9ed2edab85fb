{#
  Whether a mart is published in partitions, and of which length: 'day' or 'month', by its meta.feast.batch.size;
  batches of an hour make partitions of a day, and those of a year, of a month. None of a mart that is published
  whole: it declares no batch, its contract does not vouch for the type of its timestamp, or another engine exports it.
#}
{% macro partition_size(mart) %}
  {% set feast = martfeast.feast_meta(mart) %}
  {% set batch = feast.get('batch') if feast is mapping else none %}
  {% if batch is not mapping or not mart.config.contract.enforced or martfeast.other_engine() %}{{ return(none) }}{% endif %}
  {% if feast.get('timestamp') not in martfeast.moment_columns(mart) %}{{ return(none) }}{% endif %}
  {% set of_dbt = mart.config.get('batch_size') if mart.config.get('incremental_strategy') == 'microbatch' else none %}
  {% set size = (batch.get('size') or of_dbt or 'day') | string | lower %}
  {{ return({'hour': 'day', 'day': 'day', 'month': 'month', 'year': 'month'}.get(size)) }}
{% endmacro %}


{#
  When the partition of a row begins, UTC; SQL. Null where the row has no timestamp. rows: what the statement calls the
  mart's rows, whose columns may have any name.
#}
{% macro partition_start(mart, rows) %}
  {{ return(
    "date_trunc('" ~ martfeast.partition_size(mart) ~ "', " ~ rows ~ '.'
    ~ adapter.quote(martfeast.feast_meta(mart)['timestamp']) ~ ')'
  ) }}
{% endmacro %}


{# When what is in a row became known, as a timestamp; SQL. rows: as in partition_start. #}
{% macro known_moment(mart, rows) %}
  {% set column = martfeast.knowledge_column(mart) %}
  {{ return('try_cast(' ~ (rows ~ '.' ~ column if column else 'null') ~ ' as timestamp)') }}
{% endmacro %}


{#
  What the hashes of a mart's partitions are of: columns, their types and their order, the length of partitions and the
  column of knowledge time. Partitions of two versions can be compared where this is the same.
#}
{% macro partition_layout(mart, columns) %}
  {% set pairs = [] %}
  {% for column in columns %}{% do pairs.append([column['column_name'], column['column_type']]) %}{% endfor %}
  {{ return(local_md5(tojson([martfeast.partition_size(mart), martfeast.knowledge_column(mart), pairs]))) }}
{% endmacro %}


{# The columns that are published of a mart, each with its type as DuckDB has it. #}
{% macro described_columns(mart) %}
  {% set sql %}
    select
        column_name,
        column_type
    from (describe select {{ martfeast.published_columns(mart) | join(', ') }} from {{ martfeast.rows_of(mart) }})  -- noqa: PRS
  {% endset %}
  {{ return(run_query(sql).rows) }}
{% endmacro %}


{#
  Columns, as DuckDB's hash takes them so that rows with other text have another hash: it takes 0.0 for -0.0, and a
  month for thirty days. What is not known to be hashed exactly is hashed as text. rows: as in partition_start.
#}
{% macro hashed_columns(columns, rows) %}
  {% set exact = [
    'BOOLEAN', 'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT',
    'VARCHAR', 'DATE', 'TIMESTAMP', 'UUID'
  ] %}
  {% set hashed = [] %}
  {% for column in columns %}
    {% set name = rows ~ '.' ~ adapter.quote(column['column_name']) %}
    {% if column['column_type'] in ['DOUBLE', 'FLOAT'] %}
      {% do hashed.extend([name, 'signbit(' ~ name ~ ')']) %}
    {% elif column['column_type'] in exact or column['column_type'].startswith('DECIMAL') %}
      {% do hashed.append(name) %}
    {% else %}
      {% do hashed.append('cast(' ~ name ~ ' as varchar)') %}
    {% endif %}
  {% endfor %}
  {{ return(hashed) }}
{% endmacro %}


{# Make the temporary table martfeast_partitions, of the partitions of all marts that are measured. #}
{% macro create_partitions() %}
  {% set sql %}
    create or replace temp table martfeast_partitions (
        mart_id varchar,
        name varchar,
        size varchar,
        layout varchar,
        starts_at timestamp,
        row_count bigint,
        covered_row_count bigint,
        last_covered_at timestamp,
        first_known_at timestamp,
        last_known_at timestamp,
        fingerprint varchar,
        lower_sum hugeint,
        upper_sum hugeint,
        linked_from varchar,
        byte_count bigint,
        modified timestamp,
        sha256 varchar
    )
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{#
  Note in martfeast_partitions what a mart's partitions are, and in martfeast_measured what the mart is, with the
  same content hash as if it were published whole. Which partitions changed is told by two cheap sums of hashes; the
  sums of the content hash are computed of those only.
#}
{% macro measure_partitions(mart) %}
  {% set columns = martfeast.described_columns(mart) %}
  {% set layout = martfeast.partition_layout(mart, columns) %}
  {% set mart_id = martfeast.literal(mart.unique_id) %}
  {% set hashed = martfeast.hashed_columns(columns, 'mart') | join(', ') %}
  {% set timestamp = 'mart.' ~ adapter.quote(martfeast.feast_meta(mart)['timestamp']) %}
  {% set sql %}
    insert into martfeast_partitions
    with mart_rows as (
        select
            {{ martfeast.partition_start(mart, 'mart') }} as starts_at,
            {{ timestamp }} as known_at,
            {{ martfeast.known_moment(mart, 'mart') }} as covered_at,
            hash({{ hashed }}) as one_lane,
            hash('other lane', {{ hashed }}) as other_lane
        from {{ martfeast.rows_of(mart) }} as mart
    )

    select
        {{ mart_id }} as mart_id,
        {# A name without '=': DuckDB and pyarrow would make a column of it. #}
        coalesce(strftime(starts_at, '{{ '%Y-%m' if martfeast.partition_size(mart) == 'month' else '%Y-%m-%d' }}'), 'no_time') as name,
        {{ martfeast.literal(martfeast.partition_size(mart)) }} as size,
        {{ martfeast.literal(layout) }} as layout,
        starts_at,
        count(*) as row_count,
        count(covered_at) as covered_row_count,
        max(covered_at) as last_covered_at,
        min(known_at) as first_known_at,
        max(known_at) as last_known_at,
        md5(concat_ws('-', sum(one_lane), sum(other_lane))) as fingerprint,
        null as lower_sum,
        null as upper_sum,
        null as linked_from,
        null as byte_count,
        null as modified,
        null as sha256
    from mart_rows
    group by starts_at;

    update martfeast_partitions
    set
        lower_sum = published.lower_sum,
        upper_sum = published.upper_sum
    from martfeast_published_partitions as published
    where
        martfeast_partitions.mart_id = {{ mart_id }}
        and published.unique_id = {{ mart_id }}
        and published.is_newest
        and published.hashed_by = version()
        and martfeast_partitions.layout = published.layout
        and martfeast_partitions.name = published.name
        and martfeast_partitions.row_count = published.row_count
        and martfeast_partitions.fingerprint = published.fingerprint
  {% endset %}
  {% do run_query(sql) %}
  {% do martfeast.sum_partitions(mart) %}
  {% set sql %}
    update martfeast_partitions
    set
        linked_from = published.path || '/' || published.name || '.parquet',
        byte_count = published.byte_count,
        modified = published.modified_now,
        sha256 = published.sha256
    from martfeast_published_partitions as published
    where
        martfeast_partitions.mart_id = {{ mart_id }}
        and published.unique_id = {{ mart_id }}
        and published.is_newest
        and published.is_intact
        and martfeast_partitions.layout = published.layout
        and martfeast_partitions.name = published.name
        and martfeast_partitions.row_count = published.row_count
        and martfeast_partitions.lower_sum = published.lower_sum
        and martfeast_partitions.upper_sum = published.upper_sum;

    insert into martfeast_measured (
        mart_id,
        version,
        path,
        is_copied,
        row_count,
        content_hash,
        columns,
        first_known_at,
        last_known_at,
        covered_row_count,
        restated_row_count
    )
    select
        mart_id,
        {{ martfeast.literal(martfeast.version_name()) }} as version,
        {{ martfeast.literal(martfeast.version_path(mart)) }} as path,
        true as is_copied,
        sum(row_count) as row_count,
        md5(concat_ws('-', sum(row_count), sum(lower_sum), sum(upper_sum))) as content_hash,
        (
            {{ martfeast.column_types(mart) | trim }}
        ) as columns,
        min(first_known_at) as first_known_at,
        max(last_known_at) as last_known_at,
        0 as covered_row_count,
        0 as restated_row_count
    from martfeast_partitions
    where mart_id = {{ mart_id }}
    group by mart_id
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{# Note in martfeast_partitions the sums of the content hash of a mart's partitions that have none yet. #}
{% macro sum_partitions(mart) %}
  {% set sql %}
    select cast(starts_at as varchar) as starts_at from martfeast_partitions
    where
        mart_id = {{ martfeast.literal(mart.unique_id) }}
        and lower_sum is null
    order by starts_at
  {% endset %}
  {% set unknown = run_query(sql).columns[0].values() | list %}
  {% if unknown %}
    {% set names = [] %}
    {% for name in martfeast.published_columns(mart) %}{% do names.append('mart.' ~ name) %}{% endfor %}
    {% set sql %}
      update martfeast_partitions
      set
          lower_sum = summed.lower_sum,
          upper_sum = summed.upper_sum
      from (
          with mart_rows as (
              select
                  {{ martfeast.partition_start(mart, 'mart') }} as starts_at,
                  cast(row({{ names | join(', ') }}) as varchar) as line
              from {{ martfeast.rows_of(mart) }} as mart
              where {{ martfeast.is_in_partitions(mart, 'mart', unknown) }}
          )

          select
              starts_at,
              sum(cast(md5_number_lower(line) as hugeint)) as lower_sum,
              sum(cast(md5_number_upper(line) as hugeint)) as upper_sum
          from mart_rows
          group by starts_at
      ) as summed
      where
          martfeast_partitions.mart_id = {{ martfeast.literal(mart.unique_id) }}
          and martfeast_partitions.starts_at is not distinct from summed.starts_at
    {% endset %}
    {% do run_query(sql) %}
  {% endif %}
{% endmacro %}


{#
  Whether a row is in one of some partitions; SQL that DuckDB asks before it computes anything else of a row. rows: as in
  partition_start. starts: when they begin, as text; none for rows without a timestamp.
#}
{% macro is_in_partitions(mart, rows, starts) %}
  {% set timestamp = rows ~ '.' ~ adapter.quote(martfeast.feast_meta(mart)['timestamp']) %}
  {% set moments = [] %}
  {% for start in starts | reject('none') | map('string') | sort %}
    {% do moments.append('cast(' ~ martfeast.literal(start) ~ ' as timestamp)') %}
  {% endfor %}
  {% set conditions = [] %}
  {% if moments %}
    {% do conditions.append(
      '(' ~ timestamp ~ ' between ' ~ moments[0] ~ ' and ' ~ moments[-1] ~ ' + interval 1 ' ~ martfeast.partition_size(mart)
      ~ ' and ' ~ martfeast.partition_start(mart, rows) ~ ' in (' ~ moments | join(', ') ~ '))'
    ) %}
  {% endif %}
  {% if moments | length < starts | length %}{% do conditions.append(timestamp ~ ' is null') %}{% endif %}
  {{ return(conditions | join(' or ') or 'false') }}
{% endmacro %}
