{#
  The stretches of time of which a relation in a mart's lineage has rows of facts that are others now, with the command
  that makes them again: the first three of each relation, and the rest as one. It is no reason to hold rows back: they
  say what was known when they were made.
#}
{% macro judge_stale_warnings() %}
{% set judge = martfeast.judge_schema() %}
with ordered as (
    select
        *,
        max(stale_end) over (
            partition by node_id
            order by stale_start, stale_end
            rows between unbounded preceding and 1 preceding
        ) as end_so_far
    from {{ judge }}.stale_pieces
),

numbered as (
    select
        *,
        count(case when end_so_far is null or end_so_far < stale_start then 1 end) over (
            partition by node_id
            order by stale_start, stale_end
            rows between unbounded preceding and current row
        ) as stretch
    from ordered
),

stretches as (
    select
        node_id,
        stretch,
        any_value(batch_size) as batch_size,
        min(stale_start) as stretch_start,
        max(stale_end) as stretch_end
    from numbered
    group by node_id, stretch
),

-- A change that several pieces rest on counts once.
changes as (
    select distinct
        node_id,
        stretch,
        name,
        batch_start,
        invocation_number,
        row_difference
    from numbered
),

causes as (
    select
        node_id,
        stretch,
        name,
        sum(greatest(row_difference, 0)) as came,
        sum(greatest(-row_difference, 0)) as went
    from changes
    group by node_id, stretch, name
),

told as (
    select
        node_id,
        stretch,
        string_agg(
            concat_ws(
                ' and ',
                case when came > 0 then format('{:,} fact{} of {} came', came, if(came > 1, 's', ''), name) end,
                case when went > 0 then format('{:,} fact{} of {} went', went, if(went > 1, 's', ''), name) end,
                case when came + went = 0 then 'facts of ' || name || ' changed' end
            ),
            ', ' order by name
        ) as cause
    from causes
    group by node_id, stretch
),

lines as (
    select
        stretches.node_id,
        least(stretches.stretch, 4) as line,
        count(*) as stretch_count,
        sum(date_diff(stretches.batch_size, stretches.stretch_start, stretches.stretch_end)) as batch_count,
        any_value(stretches.batch_size) as batch_size,
        min(stretches.stretch_start) as stretch_start,
        max(stretches.stretch_end) as stretch_end,
        any_value(told.cause) as cause
    from stretches
    inner join told
        on
            stretches.node_id = told.node_id
            and stretches.stretch = told.stretch
    group by stretches.node_id, least(stretches.stretch, 4)
),

worded as (
    select
        lines.*,
        project_nodes.name,
        replace(
            strftime(greatest(lines.stretch_start, project_nodes.start_at), '%Y-%m-%dT%H:%M'), 'T00:00', ''
        ) as said_start,
        replace(strftime(lines.stretch_end, '%Y-%m-%dT%H:%M'), 'T00:00', '') as said_end,
        format(
            '({:,} {}{})', lines.batch_count, lines.batch_size, if(lines.batch_count > 1, 's', '')
        ) as said_batches
    from lines
    inner join {{ judge }}.project_nodes on lines.node_id = project_nodes.node_id
)

select
    lineage.mart_id,
    worded.node_id,
    worded.stretch_start,
    worded.stretch_end,
    concat(
        worded.name,
        if(worded.stretch_count > 1, ' in ' || worded.stretch_count || ' more stretches', ''),
        ' from ' || worded.said_start || ' to ' || worded.said_end || ' ' || worded.said_batches || ' is stale',
        if(worded.stretch_count > 1, '', ': ' || worded.cause || ' after it was made'),
        '. Run: martfeast backfill ' || worded.name || ' --from ' || worded.said_start || ' --to ' || worded.said_end
    ) as warning
from worded
inner join {{ judge }}.lineage on worded.node_id = lineage.node_id
{% endmacro %}
