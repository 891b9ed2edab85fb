{#
  The last build of every relation in a mart's lineage succeeded, was whole, ran the present code on the
  relations that it reads now, by this target, and was not followed by a run that was cut off. The lower a priority,
  the more telling the reason; a null is no reason.
#}
{% macro judge_build_reasons() %}
{% set judge = martfeast.judge_schema() %}
select
    lineage.mart_id,
    relations.node_id,
    case
        when relations.status is null then 1
        when relations.status in ('error', 'partial success') or relations.is_partial then 0
        when relations.status <> 'success' then 4
        else 2
    end as priority,
    case
        when relations.status is null then relations.name || ' has not been built'
        when relations.status in ('error', 'partial success') then relations.name || ' failed to build'
        when relations.status <> 'success' then relations.name || ' was ' || relations.status
        when relations.is_partial
            then relations.name || ' was built with --empty, --sample, --defer or a window of event times, so not on all its data'
        when not relations.is_this_target
            then relations.name || ' was last built by target ' || relations.target_name
        when relations.reads_others
            then relations.name || ' was built from other relations than it reads now'
        when (relations.built_checksum is distinct from relations.code_checksum)
            then relations.name || ' has changed since it was built'
        when relations.unfinished_number > relations.invocation_number
            then 'a run that was to build ' || relations.name || ' was cut off'
    end as reason
from {{ judge }}.lineage
inner join {{ judge }}.relations on lineage.node_id = relations.node_id
{% endmacro %}
