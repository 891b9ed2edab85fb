{#
  The time of which a relation made by ranges has rows of facts that are others now: what changed after it was made the
  last time, and before the relation was last built, so that a run has left it as it was. A window brings facts into rows
  that are later by its length. In whole batches, as they are made; one row per piece and change. Of a batch of facts that
  a run has made in part, nothing is said: it may be the part that changed.

  Where the rows of a relation end more than a week after its facts do, the two are not of one time: a schedule is known
  weeks before what comes of it. The rows of a fact are then looked for as much later.
#}
{% macro judge_stale_pieces() %}
{% set evidence = martfeast.evidence_schema() %}
{% set judge = martfeast.judge_schema() %}
with newest as (
    select
        node_id,
        max(invocation_number) as invocation_number
    from {{ judge }}.range_pieces
    group by node_id
),

facts_end as (
    select
        relation,
        max(batch_start) as moment
    from {{ evidence }}.fact_batches
    where row_count > 0
    group by relation
),

rows_end as (
    select
        node_id,
        max(piece_end) as moment
    from {{ judge }}.range_pieces
    group by node_id
),

pieces as (
    select
        range_pieces.*,
        newest.invocation_number as newest_number,
        unnest(project_nodes.relations[2:]) as read_relation
    from {{ judge }}.range_pieces
    inner join newest on range_pieces.node_id = newest.node_id
    inner join {{ judge }}.project_nodes on range_pieces.node_id = project_nodes.node_id
),

changes as (
    select
        rows_end.node_id,
        fact_changes.*,
        case
            when rows_end.moment > facts_end.moment + interval 8 days
                then to_days(cast(date_diff('day', facts_end.moment, rows_end.moment) as integer))
            else interval 0 days
        end as shift
    from {{ judge }}.fact_changes
    inner join facts_end on fact_changes.relation = facts_end.relation
    cross join rows_end
),

touched as (
    select
        pieces.node_id,
        pieces.batch_size,
        changes.relation,
        changes.name,
        changes.invocation_number,
        changes.batch_start,
        changes.row_difference,
        greatest(pieces.piece_start, changes.batch_start + changes.shift) as first_moment,
        least(
            pieces.piece_end, changes.batch_end + changes.shift + to_seconds(pieces.look_back_seconds)
        ) - interval 1 microsecond as last_moment
    from pieces
    inner join changes
        on
            pieces.node_id = changes.node_id
            and pieces.read_relation = changes.relation
            and pieces.invocation_number < changes.invocation_number
            and pieces.newest_number >= changes.invocation_number
            and pieces.piece_end >= changes.batch_end + changes.shift
            and pieces.piece_start < changes.batch_end + changes.shift + to_seconds(pieces.look_back_seconds)
)

select
    node_id,
    batch_size,
    relation,
    name,
    invocation_number,
    batch_start,
    row_difference,
    date_trunc(batch_size, first_moment) as stale_start,
    date_trunc(batch_size, last_moment) + cast('1 ' || batch_size as interval) as stale_end
from touched
{% endmacro %}
