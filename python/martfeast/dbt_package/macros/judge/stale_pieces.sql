{#
  The time of which a relation made by ranges has rows of facts that are others now: what changed after it was made the
  last time, and before the relation was last built, so that a run has left it as it was. A window brings facts into rows
  that are later by its length. In whole batches, as they are made; one row per piece and change. Of a batch of facts that
  a run has made in part, nothing is said: it may be the part that changed.
#}
{% macro judge_stale_pieces() %}
{% set judge = martfeast.judge_schema() %}
with newest as (
    select
        node_id,
        max(invocation_number) as invocation_number
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

touched as (
    select
        pieces.node_id,
        pieces.batch_size,
        fact_changes.relation,
        fact_changes.name,
        fact_changes.invocation_number,
        fact_changes.batch_start,
        fact_changes.row_difference,
        greatest(pieces.piece_start, fact_changes.batch_start) as first_moment,
        least(
            pieces.piece_end, fact_changes.batch_end + to_seconds(pieces.look_back_seconds)
        ) - interval 1 microsecond as last_moment
    from pieces
    inner join {{ judge }}.fact_changes
        on
            pieces.read_relation = fact_changes.relation
            and pieces.invocation_number < fact_changes.invocation_number
            and pieces.newest_number >= fact_changes.invocation_number
            and pieces.piece_end >= fact_changes.batch_end
            and pieces.piece_start < fact_changes.batch_end + to_seconds(pieces.look_back_seconds)
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
