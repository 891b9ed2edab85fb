{#
  The rows of a relation that is made by ranges cover its time without a gap, and the present code made all of them. One
  row per relation in a mart's lineage, kind of fault and stretch of time, with the command that mends it.
#}
{% macro judge_range_reasons() %}
{% set judge = martfeast.judge_schema() %}
with faults as (
    select
        node_id,
        piece_start,
        piece_end,
        batch_size,
        min(piece_start) over (partition by node_id) as first_moment,
        case
            when invocation_number is null then 'has no rows of'
            when (code_checksum is distinct from present_checksum) then 'was built by other code for'
        end as fault
    from {{ judge }}.range_pieces
),

marked as (
    select
        *,
        lag(fault) over (partition by node_id order by piece_start) as previous_fault
    from faults
),

numbered as (
    select
        *,
        count(case when previous_fault is distinct from fault then 1 end)
            over (partition by node_id order by piece_start) as stretch
    from marked
),

stretches as (
    select
        node_id,
        fault,
        min(piece_start) = any_value(first_moment) and fault <> 'has no rows of' as is_from_the_start,
        date_trunc(any_value(batch_size), min(piece_start)) as stretch_start,
        max(piece_end) as stretch_end
    from numbered
    where fault is not null
    group by node_id, fault, stretch
)

select
    lineage.mart_id,
    stretches.node_id,
    stretches.stretch_start,
    stretches.stretch_end,
    relations.name || ' ' || stretches.fault || ' '
    || case when isfinite(stretches.stretch_start) then strftime(stretches.stretch_start, '%Y-%m-%d %H:%M') else 'its start' end
    || ' to ' || strftime(stretches.stretch_end, '%Y-%m-%d %H:%M')
    || ' ('
    || case
        when stretches.is_from_the_start or not isfinite(stretches.stretch_start)
            then 'dbt build --full-refresh --select ' || relations.name || '+'
        else ''
    end
    || case when stretches.is_from_the_start and isfinite(stretches.stretch_start) then '; or ' else '' end
    || case
        when isfinite(stretches.stretch_start)
            then
                'martfeast backfill ' || relations.name
                || ' --from ' || strftime(stretches.stretch_start, '%Y-%m-%dT%H:%M')
                || ' --to ' || strftime(stretches.stretch_end, '%Y-%m-%dT%H:%M')
        else ''
    end
    || ')' as reason
from stretches
inner join {{ judge }}.lineage on stretches.node_id = lineage.node_id
inner join {{ judge }}.relations on stretches.node_id = relations.node_id
{% endmacro %}
