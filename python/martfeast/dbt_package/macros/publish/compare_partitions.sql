{#
  Count the rows of a mart that its baseline had and that are lost or others now, as count_restated does, but read only
  the partitions that differ: rows of the same partition are equal in both, and rows of two never are. Return whether
  this was possible: it is not where the baseline has no partitions, or columns or their kind were others then.
#}
{% macro compare_partitions(mart, folder) %}
  {% set columns = martfeast.described_columns(mart) %}
  {% set layout = martfeast.partition_layout(mart, columns) %}
  {% set mart_id = martfeast.literal(mart.unique_id) %}
  {% set sql %}
    select
        count(*) as partition_count,
        cast(max(last_covered_at) as varchar) as horizon
    from martfeast_published_partitions
    where
        unique_id = {{ mart_id }}
        and is_baseline
        and layout = {{ martfeast.literal(layout) }}
  {% endset %}
  {% set before = run_query(sql).rows[0] %}
  {% if not before['partition_count'] or not martfeast.knowledge_column(mart) %}{{ return(false) }}{% endif %}

  {% set sql %}
    create or replace temp table martfeast_changed_partitions as
    with before as (
        select * from martfeast_published_partitions
        where
            unique_id = {{ mart_id }}
            and is_baseline
    ),

    present as (
        select * from martfeast_partitions
        where mart_id = {{ mart_id }}
    )

    select
        coalesce(before.name, present.name) as name,
        coalesce(before.starts_at, present.starts_at) as starts_at,
        before.path || '/' || before.name || '.parquet' as file,
        coalesce(before.is_intact, true) as is_intact,
        coalesce(before.covered_row_count, 0) as covered_row_count
    from before
    full join present on before.name = present.name
    where
        before.row_count is distinct from present.row_count
        or before.lower_sum is distinct from present.lower_sum
        or before.upper_sum is distinct from present.upper_sum
  {% endset %}
  {% do run_query(sql) %}
  {% set sql %}
    select
        file,
        cast(starts_at as varchar) as starts_at
    from martfeast_changed_partitions
    where is_intact
  {% endset %}
  {% set files = [] %}
  {% set starts = [] %}
  {% for changed in run_query(sql).rows %}
    {% do starts.append(changed['starts_at']) %}
    {% if changed['file'] %}{% do files.append(martfeast.glob_literal(folder ~ '/' ~ changed['file'], '')) %}{% endif %}
  {% endfor %}
  {% do martfeast.count_restated_partitions(mart, columns, files, starts, before['horizon']) %}
  {{ return(true) }}
{% endmacro %}


{# Note in martfeast_measured how many rows of the partitions in martfeast_changed_partitions are lost or others now. #}
{% macro count_restated_partitions(mart, columns, files, starts, horizon) %}
  {% set mart_id = martfeast.literal(mart.unique_id) %}
  {% set starts_at = martfeast.partition_start(mart, 'mart') %}
  {% set known_at = martfeast.known_moment(mart, 'mart') %}
  {% set compared = martfeast.compared_columns(columns, 'mart.') | join(', ') %}
  {% set sql %}
    update martfeast_measured
    set
        covered_row_count = counts.covered_row_count,
        restated_row_count = counts.restated_row_count,
        restated_partitions = counts.restated_partitions
    from (
        with before as (
            {% if files %}
            select
                {{ starts_at }} as starts_at,
                hash({{ compared }}) as content
            from read_parquet([{{ files | join(', ') }}], hive_partitioning = false) as mart
            where {{ known_at }} is not null
            {% else %}
            select
                cast(null as timestamp) as starts_at,
                cast(null as ubigint) as content
            where false
            {% endif %}
        ),

        present as (
            select
                {{ starts_at }} as starts_at,
                hash({{ compared }}) as content
            from {{ martfeast.rows_of(mart) }} as mart
            where
                {{ known_at }} <= cast({{ martfeast.literal(horizon) if horizon else 'null' }} as timestamp)
                and ({{ martfeast.is_in_partitions(mart, 'mart', starts) }})
        ),

        lost as (
            select * from before
            except all
            select * from present
        ),

        appeared as (
            select * from present
            except all
            select * from before
        ),

        differences as (
            select
                starts_at,
                1 as lost_row_count,
                0 as appeared_row_count
            from lost

            union all

            select
                starts_at,
                0 as lost_row_count,
                1 as appeared_row_count
            from appeared

            union all

            -- Nothing can be compared with a file that is not as it was: all its rows count.
            select
                starts_at,
                covered_row_count as lost_row_count,
                0 as appeared_row_count
            from martfeast_changed_partitions
            where not is_intact
        ),

        restated as (
            select
                changed.name,
                cast(sum(differences.lost_row_count) as bigint) as lost_row_count,
                cast(sum(differences.appeared_row_count) as bigint) as appeared_row_count,
                cast(greatest(sum(differences.lost_row_count), sum(differences.appeared_row_count)) as bigint) as row_count
            from differences
            inner join martfeast_changed_partitions as changed on differences.starts_at is not distinct from changed.starts_at
            group by changed.name
        )

        select
            (
                select sum(published.covered_row_count)
                from martfeast_published_partitions as published
                where
                    published.unique_id = {{ mart_id }}
                    and published.is_baseline
            ) as covered_row_count,
            coalesce(greatest(sum(lost_row_count), sum(appeared_row_count)), 0) as restated_row_count,
            coalesce(
                to_json(
                    list(
                        {
                            'name': name,
                            'row_count': row_count
                        }
                        order by name
                    ) filter (where row_count > 0)
                ),
                '[]'
            ) as restated_partitions
        from restated
    ) as counts
    where martfeast_measured.mart_id = {{ mart_id }}
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}
