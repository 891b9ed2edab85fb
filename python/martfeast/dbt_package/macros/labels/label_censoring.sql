{#
  Why a label mart's rows have no label: a query for a model of its own. One row for each
  group_column, group_value and reason, with row_count, and the share of the group's rows.
#}
{% macro label_censoring(label_mart) -%}
{%- set label = martfeast.label_of(label_mart) -%}
with asked as (

    select
        {{ adapter.quote(label.column) }} as label,
        coalesce(
            cast({{ adapter.quote(label.missing_reason) if label.missing_reason else 'null' }} as string), '(no reason given)'
        ) as reason
        {{- martfeast.label_group_columns(label) }}
    from {{ label_mart }}

),

long as (

    {{ martfeast.union_label_groups(label, ['label', 'reason']) }}

),

by_group as (

    select
        group_column,
        group_value,
        count(*) as row_count
    from long
    group by group_column, group_value

),

by_reason as (

    select
        group_column,
        group_value,
        reason,
        count(*) as row_count
    from long
    where label is null
    group by group_column, group_value, reason

)

select
    by_reason.group_column,
    by_reason.group_value,
    by_reason.reason,
    by_reason.row_count,
    by_reason.row_count / cast(by_group.row_count as double) as row_share
from by_reason
inner join by_group
    on
        by_reason.group_column = by_group.group_column
        and by_reason.group_value = by_group.group_value
{%- endmacro %}
