{#
  Note in martfeast_measured what the rows of each mart are that may be published and may differ from the
  version that is published: views, what was built since, and what has lost its file, or whose file has other
  bytes than were published. Rows that turn out to be the same keep that version. A mart
  with a moment that Feast cannot hold is held back instead.
#}
{% macro measure_marts(folder) %}
  {% do martfeast.find_intact(folder) %}
  {% set sql %}
    create or replace temp table martfeast_measured (
        mart_id varchar,
        version varchar,
        path varchar,
        byte_count bigint,
        sha256 varchar,
        is_copied boolean,
        row_count bigint,
        content_hash varchar,
        columns json,
        first_known_at timestamp,
        last_known_at timestamp,
        covered_row_count bigint,
        restated_row_count bigint,
        restated_partitions json default '[]',
        partitions json
    )
  {% endset %}
  {% do run_query(sql) %}
  {% do martfeast.create_partitions() %}

  {% set sql %}
    select verdicts.mart_id
    from {{ martfeast.judge_schema() }}.verdicts
    left join martfeast_current as published
        on
            verdicts.mart_id = published.unique_id
            and published.version is not null
    left join martfeast_intact on published.path = martfeast_intact.path
    where
        len(verdicts.reasons) = 0
        and (
            verdicts.is_view
            or published.built_by is distinct from verdicts.built_by
            or martfeast_intact.path is null
        )
    order by verdicts.mart_id
  {% endset %}
  {% set candidates = [] %}
  {% for mart_id in run_query(sql).columns[0].values() %}{% do candidates.append(graph.nodes[mart_id]) %}{% endfor %}
  {% if martfeast.other_engine() and candidates %}
    {% set paths = [] %}
    {% for mart in candidates %}{% do paths.append(martfeast.version_path(mart)) %}{% endfor %}
    {% do martfeast.write_pending(folder, paths) %}
    {% for mart in candidates %}{% do martfeast.export_mart(mart) %}{% endfor %}
  {% endif %}
  {% for mart in candidates if not martfeast.hold_back_moments(mart) %}
    {% do martfeast.measure_partitions(mart) if martfeast.partition_size(mart) else martfeast.measure_mart(mart) %}
  {% endfor %}

  {% set sql %}
    update martfeast_measured
    set
        is_copied = false,
        version = published.version,
        path = published.path,
        byte_count = published.byte_count,
        sha256 = published.sha256
    from martfeast_current as published, martfeast_intact
    where
        martfeast_measured.mart_id = published.unique_id
        and martfeast_measured.content_hash = published.content_hash
        and cast(martfeast_measured.columns as varchar) = cast(published.columns as varchar)
        and published.path = martfeast_intact.path
  {% endset %}
  {% do run_query(sql) %}

  {# Where the file of before is not as it was, nothing can be compared, and all its rows count as restated. #}
  {% set sql %}
    update martfeast_measured
    set
        covered_row_count = published.row_count,
        restated_row_count = published.row_count
    from martfeast_current as published
    where
        martfeast_measured.mart_id = published.unique_id
        and martfeast_measured.is_copied
        and coalesce(published.baseline, published.path) not in (select martfeast_intact.path from martfeast_intact)
        and (
            martfeast_measured.content_hash <> published.content_hash
            or published.path <> published.baseline
        )
  {% endset %}
  {% do run_query(sql) %}

  {% set sql %}
    select
        martfeast_measured.mart_id,
        martfeast_intact.path,
        martfeast_intact.is_folder
    from martfeast_measured
    inner join martfeast_current as published on martfeast_measured.mart_id = published.unique_id
    left join martfeast_intact on coalesce(published.baseline, published.path) = martfeast_intact.path
    where martfeast_measured.is_copied
  {% endset %}
  {% for row in run_query(sql).rows %}
    {% set mart = graph.nodes[row['mart_id']] %}
    {% if not (martfeast.partition_size(mart) and martfeast.compare_partitions(mart, folder)) and row['path'] %}
      {% set files = martfeast.glob_literal(folder ~ '/' ~ row['path'], '/*.parquet' if row['is_folder'] else '') %}
      {% do martfeast.count_restated(mart, 'read_parquet(' ~ files ~ ', hive_partitioning = false)') %}
    {% endif %}
  {% endfor %}
{% endmacro %}


{#
  Hold a mart back if one of its moments is not one that nanoseconds can count, as Feast and pandas do: an
  infinite one, or of another age, is published well and then fails every read of its batch. Return whether it is.
#}
{% macro hold_back_moments(mart) %}
  {% set names = martfeast.moment_columns(mart) %}
  {% if names %}
    {% set sql %}
      {% for name in names %}
      select
          {{ martfeast.literal(name) }} as column_name,
          cast(min({{ adapter.quote(name) }}) as varchar) as moment
      from {{ martfeast.rows_of(mart) }}
      where {{ adapter.quote(name) }} not between '1677-09-22' and '2262-04-11'
      having count(*) > 0
      {% if not loop.last %}
      union all
      {% endif %}
      {% endfor %}
    {% endset %}
    {% for found in run_query(sql).rows[:1] %}
      {% set reason = (
        'column ' ~ found['column_name'] ~ ' has ' ~ found['moment']
        ~ ', and Feast holds moments from 1677-09-22 to 2262-04-11 only: correct it, or make it null'
      ) %}
      {% set sql %}
        update {{ martfeast.judge_schema() }}.verdicts
        set reasons = [{{ martfeast.literal(reason) }}]
        where mart_id = {{ martfeast.literal(mart.unique_id) }}
      {% endset %}
      {% do run_query(sql) %}
      {{ return(true) }}
    {% endfor %}
  {% endif %}
  {{ return(false) }}
{% endmacro %}


{# The columns of moments that Feast reads: the timestamp and, of a feature mart, the features that are one. #}
{% macro moment_columns(mart) %}
  {% set feast = martfeast.feast_meta(mart) %}
  {% set feast = feast if feast is mapping else {} %}
  {% set names = [] %}
  {% for column in mart.columns.values() if (column.data_type or '') | lower | trim in [
    'timestamp', 'datetime', 'timestamp without time zone'
  ] %}
    {% set declared = martfeast.feast_meta(column) %}
    {% set is_feature = not feast.get('label') and not (declared is mapping and declared.get('feature') == false) %}
    {% if column.name == feast.get('timestamp') or is_feature %}{% do names.append(column.name) %}{% endif %}
  {% endfor %}
  {{ return(names) }}
{% endmacro %}


{#
  Count the rows of a mart that a version published before had, of times that it covered, and that are lost or
  other rows now. Rows are compared by the columns that both have with the same type; of doubles seven digits,
  because sums differ in the last ones with the order of addition. Where the column of knowledge time is another
  one now, nothing can be compared and all rows count as restated.
#}
{% macro count_restated(mart, published) %}
  {% set known_at = martfeast.knowledge_column(mart) %}
  {% if known_at %}
    {% set sql %}
      select
          now_there.column_name,
          now_there.column_type
      from (describe select {{ martfeast.published_columns(mart) | join(', ') }} from {{ martfeast.rows_of(mart) }}) as now_there
      inner join (describe select * from {{ published }}) as before
          on
              now_there.column_name = before.column_name
              and now_there.column_type = before.column_type
    {% endset %}
    {% set columns = run_query(sql).rows %}
    {% set compared = martfeast.compared_columns(columns, '') %}
    {% set names = [] %}
    {% for column in columns %}{% do names.append(adapter.quote(column['column_name'])) %}{% endfor %}
    {% set sql %}
      update martfeast_measured
      set
          covered_row_count = counts.covered_row_count,
          restated_row_count = counts.restated_row_count
      from (
          {% if known_at not in names %}
          select
              count(*) as covered_row_count,
              count(*) as restated_row_count
          from {{ published }}
          {% else %}
          with before as (
              select
                  {{ known_at }} as known_at,
                  hash({{ compared | join(', ') }}) as content
              from {{ published }}
          ),

          horizon as (select max(before.known_at) as known_at from before),

          covered as (
              select content from before
              where known_at is not null
          ),

          present as (
              select hash({{ compared | join(', ') }}) as content
              from {{ martfeast.rows_of(mart) }}
              where {{ known_at }} <= (select horizon.known_at from horizon)
          ),

          lost as (
              select content from covered
              except all
              select content from present
          ),

          appeared as (
              select content from present
              except all
              select content from covered
          )

          select
              (select count(*) from covered) as covered_row_count,
              greatest((select count(*) from lost), (select count(*) from appeared)) as restated_row_count
          {% endif %}
      ) as counts
      where martfeast_measured.mart_id = {{ martfeast.literal(mart.unique_id) }}
    {% endset %}
    {% do run_query(sql) %}
  {% endif %}
{% endmacro %}


{#
  Columns as SQL for comparing rows; of doubles seven digits. columns: rows with column_name and column_type. of: what
  stands before each name.
#}
{% macro compared_columns(columns, of) %}
  {% set compared = [] %}
  {% for column in columns %}
    {% set quoted = of ~ adapter.quote(column['column_name']) %}
    {% do compared.append("format('{:.6e}', " ~ quoted ~ ")" if column['column_type'] in ['DOUBLE', 'FLOAT'] else quoted) %}
  {% endfor %}
  {{ return(compared) }}
{% endmacro %}


{# The column that says when what is in a row became known, quoted; none where the mart does not say, or has not got it. #}
{% macro knowledge_column(mart) %}
  {% set feast = martfeast.feast_meta(mart) %}
  {% set feast = feast if feast is mapping else {} %}
  {% set label = feast.get('label') if feast.get('label') is mapping else {} %}
  {% set name = label.get('known_at') or feast.get('timestamp') %}
  {{ return(martfeast.own_column(mart, name)) }}
{% endmacro %}


{# A column of a mart by its name, quoted; none where the mart has not got it: `martfeast status` reports that. #}
{% macro own_column(mart, name) %}
  {{ return(adapter.quote(name) if name is string and name in mart.columns else none) }}
{% endmacro %}


{# What a mart says of restatements: the share of rows that may be restated, and 1 where they are expected. #}
{% macro restatement_tolerance(mart) %}
  {% set feast = martfeast.feast_meta(mart) %}
  {% set declared = feast.get('restatement') if feast is mapping else none %}
  {% if declared is mapping and declared.get('expected') %}
    {{ return(1) }}
  {% elif declared is mapping and declared.get('tolerance_share') is number %}
    {{ return(declared['tolerance_share']) }}
  {% endif %}
  {{ return(0) }}
{% endmacro %}


{#
  Note what the rows of a mart are. The content hash is independent of their order: the sum of the MD5 hashes
  of all rows, which also counts duplicates.
#}
{% macro measure_mart(mart) %}
  {% set columns = martfeast.published_columns(mart) | join(', ') %}
  {% set feast = martfeast.feast_meta(mart) %}
  {% set known_at = martfeast.own_column(mart, feast.get('timestamp') if feast is mapping else none) or 'null' %}
  {% set sql %}
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
    with mart_rows as (
        select
            cast(row({{ columns }}) as varchar) as line,
            try_cast({{ known_at }} as timestamp) as known_at
        from {{ martfeast.rows_of(mart) }}
    )

    select
        {{ martfeast.literal(mart.unique_id) }} as mart_id,
        {{ martfeast.literal(martfeast.version_name()) }} as version,
        {{ martfeast.literal(martfeast.version_path(mart)) }} as path,
        true as is_copied,
        count(*) as row_count,
        md5(
            concat_ws(
                '-',
                count(*),
                sum(cast(md5_number_lower(line) as hugeint)),
                sum(cast(md5_number_upper(line) as hugeint))
            )
        ) as content_hash,
        (
            {{ martfeast.column_types(mart) | trim }}
        ) as columns,
        min(known_at) as first_known_at,
        max(known_at) as last_known_at,
        0 as covered_row_count,
        0 as restated_row_count
    from mart_rows
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{# A query of the columns that are published of a mart: names and types, as JSON. #}
{% macro column_types(mart) %}
  {% set sql %}
            select
                to_json(
                    list(
                        {
                            'name': column_name,
                            'type': column_type
                        }
                    )
                )
            from (describe select {{ martfeast.published_columns(mart) | join(', ') }} from {{ martfeast.rows_of(mart) }})  -- noqa: PRS
  {% endset %}
  {{ return(sql) }}
{% endmacro %}


{# The columns of the contract, quoted; those of the table where no contract is enforced. #}
{% macro published_columns(mart) %}
  {% set names = [] %}
  {% if mart.config.contract.enforced %}
    {% for name in mart.columns %}{% do names.append(adapter.quote(name)) %}{% endfor %}
  {% elif martfeast.other_engine() %}
    {% set sql %}
      describe select * exclude (published_at) from {{ martfeast.rows_of(mart) }}
    {% endset %}
    {% for name in run_query(sql).columns['column_name'].values() %}{% do names.append(adapter.quote(name)) %}{% endfor %}
  {% else %}
    {% set relation = api.Relation.create(mart.database, mart.schema, mart.alias) %}
    {% for column in adapter.get_columns_in_relation(relation) %}{% do names.append(column.quoted) %}{% endfor %}
  {% endif %}
  {{ return(names) }}
{% endmacro %}
