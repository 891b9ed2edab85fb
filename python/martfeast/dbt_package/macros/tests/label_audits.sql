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
        or (
            group_column <> 'all' and row_count >= {{ minimum_rows }}
            and labelled_share < {{ minimum_share_by_group }}
        )
        {% endif %}
    )

union all

{{ martfeast.no_rows(model) }}
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

{#
  A label is known after it is asked for, and for a share of the labels no later than maximum_hours
  after.
#}
{% test label_maturity(model, column_name, maximum_hours, share=0.95) %}
{%- set label = martfeast.label_of(model) -%}
{%- set asked_at, known_at = adapter.quote(label.timestamp), adapter.quote(label.known_at) -%}
with labelled as (

    select
        {{ known_at }} > {{ asked_at }} as is_known_later,
        {{ known_at }} <= {{ dbt.dateadd('hour', maximum_hours, asked_at) }} as is_known_in_time
    from {{ model }}
    where {{ adapter.quote(label.column) }} is not null

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
    sum(case when is_known_in_time then 0 else 1 end) as row_count
from labelled
having
    coalesce(
        avg(case when is_known_in_time then 1.0 else 0.0 end),
        {{ 1 if martfeast.is_part_of_the_data() else 0 }}
    ) < {{ share }}
{% endtest %}

{#
  The label is what its source reports: SQL of the label over the relation `to`, joined by `keys`
  (columns of both). Returns rows whose label differs, or is on one side only.
#}
{% test label_consistency(model, column_name, to, keys, reported) %}
with labels as (

    select
        {{ keys | join(', ') }},
        {{ column_name }} as label,
        true as is_there
    from {{ model }}

),

reports as (

    select
        {{ keys | join(', ') }},
        {{ reported }} as label,
        true as is_there
    from {{ to }}

)

select
    {% for key in keys -%}
    coalesce(labels.{{ key }}, reports.{{ key }}) as {{ key }},
    {% endfor -%}
    labels.label,
    reports.label as reported_label
from labels
full outer join reports
    on {% for key in keys %}labels.{{ key }} is not distinct from reports.{{ key }}
    {%- if not loop.last %} and {% endif %}{% endfor %}
where
    labels.label is distinct from reports.label
    or labels.is_there is null
    or reports.is_there is null
{% endtest %}

{#
  One row if a relation has none: an audit of nothing shows nothing. With --empty and --sample that
  is as it should be.
#}
{% macro no_rows(model) -%}
select
    'all' as group_column,
    'all' as group_value,
    count(*) as row_count,
    null as labelled_share
from {{ model }}
having count(*) = 0{{ ' and 1 = 0' if martfeast.is_part_of_the_data() }}
{%- endmacro %}
