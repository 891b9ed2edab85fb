{#
  Audits of a label, to be attached to the label's column; each returns what breaks a threshold.
  Groups are those that the label declares. Groups and months of fewer than minimum_rows rows are
  left out where they stand alone, because their shares say little.
#}

{# The share of rows that have a label, of the whole and of each group, is not below a minimum. #}
{% test label_coverage(
    model, column_name, minimum_share, minimum_share_by_group=none, minimum_rows=100
) %}
select
    group_column,
    group_value,
    row_count,
    labelled_share
from ({{ martfeast.label_audit(model) }}) as audit
where
    period_start is null
    and (
        (group_column = 'all' and labelled_share < {{ minimum_share }})
        {% if minimum_share_by_group is not none %}
        or (row_count >= {{ minimum_rows }} and labelled_share < {{ minimum_share_by_group }})
        {% endif %}
    )
{% endtest %}

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
{% endtest %}

{#
  A label is known after it is asked for, and for a share of the labels no later than maximum_hours
  after.
#}
{% test label_maturity(model, column_name, maximum_hours, share=0.95) %}
{%- set label = martfeast.label_of(model) -%}
with labelled as (

    select
        {{ dbt.datediff(label.timestamp, label.known_at, 'minute') }} as maturity_minutes,
        {{ label.known_at }} > {{ label.timestamp }} as is_known_later
    from {{ model }}
    where {{ label.column }} is not null

)

select
    'known when it is asked for, or at no moment' as what,
    count(*) as row_count
from labelled
where not coalesce(is_known_later, false)
having count(*) > 0

union all

select
    'known later than {{ maximum_hours }} hours' as what,
    sum(case when maturity_minutes > {{ maximum_hours }} * 60 then 1 else 0 end) as row_count
from labelled
having
    avg(case when maturity_minutes <= {{ maximum_hours }} * 60 then 1.0 else 0.0 end) < {{ share }}
{% endtest %}

{#
  The label is what its source reports: SQL of the label over the relation `to`, joined by `keys`
  (columns of both). Returns rows whose label differs, or is on one side only.
#}
{% test label_consistency(model, column_name, to, keys, reported) %}
with reports as (

    select
        {{ keys | join(', ') }},
        {{ reported }} as reported_label
    from {{ to }}

)

select
    {{ keys | join(', ') }},
    labels.{{ column_name }} as label,
    reports.reported_label
from {{ model }} as labels
full outer join reports using ({{ keys | join(', ') }})
where labels.{{ column_name }} is distinct from reports.reported_label
{% endtest %}
