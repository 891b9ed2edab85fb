{#
  The time that a relation made by ranges has to have rows of, from the start of its history to where its facts end, in
  pieces: for each, the newest build of it and the code of that, null where it was never built. The batch in which the
  facts end may still be to come. What was built before all rows were made anew the last time is gone, or may be where
  that was cut off. Builds from before ranges were recorded count as whole, unless they were of a window of event times.
#}
{% macro judge_range_pieces() %}
{% set evidence = martfeast.evidence_schema() %}
{% set judge = martfeast.judge_schema() %}
{# An engine without transactions drops what was there before a full refresh has made anything. #}
{% set drops_first = martfeast.engine_name() != 'duckdb' %}
with built as (
    select
        results.node_id,
        results.invocation_id,
        results.code_checksum,
        results.is_window,
        results.completed_at,
        project_nodes.batch_size,
        project_nodes.start_at,
        project_nodes.code_checksum as present_checksum,
        target_invocations.invocation_number,
        target_invocations.is_full_refresh,
        target_invocations.is_partial
    from {{ evidence }}.results
    inner join {{ judge }}.target_invocations
        on results.invocation_id = target_invocations.invocation_id
    inner join {{ judge }}.project_nodes
        on
            results.node_id = project_nodes.node_id
            and results.relations[1] = project_nodes.relations[1]
    where
        results.status in ('success', 'partial success')
        and project_nodes.batch_size is not null
        and not target_invocations.is_partial
),

ranges as (
    select
        built.*,
        coalesce(ranges.range_start, timestamp '-infinity') as range_start,
        coalesce(ranges.range_end, ranges.range_start, built.completed_at) as range_end,
        coalesce(ranges.horizon, built.completed_at) as horizon,
        coalesce(ranges.look_back_seconds, 0) as look_back_seconds
    from built
    left join {{ evidence }}.ranges
        on
            built.node_id = ranges.node_id
            and built.invocation_id = ranges.invocation_id
    where ranges.node_id is not null or not coalesce(built.is_window, true)
),

selections as (
    select
        target_invocations.invocation_id,
        target_invocations.invocation_number,
        unnest(target_invocations.selected_nodes) as node_id,
        unnest(target_invocations.selected_relations) as relation
    from {{ judge }}.target_invocations
    where target_invocations.is_full_refresh
),

broken_refreshes as (
    select
        selections.node_id,
        selections.invocation_number
    from selections
    inner join {{ judge }}.project_nodes
        on
            selections.node_id = project_nodes.node_id
            and selections.relation = project_nodes.relations[1]
    left join {{ evidence }}.completions on selections.invocation_id = completions.invocation_id
    {% if drops_first %}
    left join {{ evidence }}.results
        on
            selections.invocation_id = results.invocation_id
            and selections.node_id = results.node_id
    {% endif %}
    where
        completions.invocation_id is null
        {% if drops_first %}
        or results.status = 'error'
        {% endif %}
),

all_restarts as (
    select
        node_id,
        invocation_number
    from ranges
    where is_full_refresh or range_start = timestamp '-infinity'

    union all

    select
        node_id,
        invocation_number
    from broken_refreshes
),

restarts as (
    select
        node_id,
        max(invocation_number) as invocation_number
    from all_restarts
    group by node_id
),

kept as (
    select ranges.*
    from ranges
    left join restarts on ranges.node_id = restarts.node_id
    where ranges.invocation_number >= coalesce(restarts.invocation_number, 0)
),

bounds as (
    select
        node_id,
        any_value(batch_size) as batch_size,
        coalesce(any_value(start_at), timestamp '-infinity') as first_moment,
        max_by(horizon, invocation_number) as horizon,
        max(range_end) as last_end
    from kept
    group by node_id
),

due as (
    select
        node_id,
        batch_size,
        first_moment,
        greatest(date_trunc(batch_size, horizon), least(horizon, last_end)) as last_moment
    from bounds
),

moments as (
    select
        node_id,
        first_moment as moment
    from due

    union

    select
        node_id,
        last_moment as moment
    from due

    union

    select
        node_id,
        range_start as moment
    from kept

    union

    select
        node_id,
        range_end as moment
    from kept
),

pieces as (
    select
        node_id,
        moment as piece_start,
        lead(moment) over (partition by node_id order by moment) as piece_end
    from moments
)

select
    pieces.node_id,
    pieces.piece_start,
    pieces.piece_end,
    due.batch_size,
    max(kept.invocation_number) as invocation_number,
    max_by(kept.code_checksum, kept.invocation_number) as code_checksum,
    any_value(kept.present_checksum) as present_checksum,
    max_by(kept.look_back_seconds, kept.invocation_number) as look_back_seconds
from pieces
inner join due on pieces.node_id = due.node_id
left join kept
    on
        pieces.node_id = kept.node_id
        and pieces.piece_start >= kept.range_start
        and pieces.piece_end <= kept.range_end
where
    pieces.piece_end is not null
    and pieces.piece_start >= due.first_moment
    and pieces.piece_end <= due.last_moment
group by pieces.node_id, pieces.piece_start, pieces.piece_end, due.batch_size
{% endmacro %}
