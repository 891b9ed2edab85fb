{#
  The base rate (mean of the label) lies between minimum and maximum, and that of no month and no
  group is further from that of all rows than a maximum_difference.
#}
{% test label_base_rate(
    model,
    column_name,
    minimum,
    maximum,
    maximum_difference_by_month=none,
    maximum_difference_by_group=none,
    minimum_rows=100
) %}
with audit as (

    {{ martfeast.label_audit(model) }}

),

compared as (

    select
        *,
        abs(base_rate - max(case when group_column = 'all' and period_start is null then base_rate end) over ())
            as difference
    from audit

)

select
    group_column,
    group_value,
    period_start,
    labelled_count,
    base_rate,
    difference
from compared
where
    (
        group_column = 'all' and period_start is null
        and (base_rate is null or base_rate < {{ minimum }} or base_rate > {{ maximum }})
    )
    {% if maximum_difference_by_month is not none %}
    or (
        group_column = 'all' and labelled_count >= {{ minimum_rows }}
        and difference > {{ maximum_difference_by_month }}
    )
    {% endif %}
    {% if maximum_difference_by_group is not none %}
    or (
        period_start is null and labelled_count >= {{ minimum_rows }}
        and difference > {{ maximum_difference_by_group }}
    )
    {% endif %}

union all

select
    group_column,
    group_value,
    null as period_start,
    row_count,
    null as base_rate,
    null as difference
from ({{ martfeast.no_rows(model) }}) as nothing
{% endtest %}
