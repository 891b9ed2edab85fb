{#
  How well a label mart covers what it stands for: a query for a model of its own.

    -- models/marts/labels/late_payment_label_audit.sql
    {{ martfeast.label_audit(ref('late_payment_labels')) }}

  label_mart: the relation of a model with a label under config.meta.feast; its groups are those
  that the label declares. One row for each group_column and group_value, over the whole time
  (period_start is null) and by calendar month of the moment asked, UTC. The group_column `all` has
  every row under the value `all`; NaN is no label; a null is the value `(none)`, and a text `(none)` stands in quotes.
  The two maturities are minutes that some label took: engines interpolate between two in different last digits.
#}
{% macro label_audit(label_mart) -%}
{%- set label = martfeast.label_of(label_mart) -%}
{%- set value = "nullif(cast(" ~ adapter.quote(label.column) ~ " as double), cast('NaN' as double))" -%}
with asked as (

    select
        cast({{ dbt.date_trunc('month', adapter.quote(label.timestamp)) }} as timestamp) as period_start,
        {{ value }} as label,
        case
            when {{ value }} is not null
                then {{ dbt.datediff(adapter.quote(label.timestamp), adapter.quote(label.known_at), 'minute') }}
        end as maturity_minutes
        {{- martfeast.label_group_columns(label) }}
    from {{ label_mart }}

),

by_group as (

    {{ martfeast.union_label_groups(label, ['period_start', 'label', 'maturity_minutes']) }}

),

by_group_and_period as (

    select
        group_column,
        group_value,
        period_start,
        label,
        maturity_minutes
    from by_group
    union all
    select
        group_column,
        group_value,
        cast(null as timestamp) as period_start,
        label,
        maturity_minutes
    from by_group

)

select
    group_column,
    group_value,
    period_start,
    count(*) as row_count,
    count(label) as labelled_count,
    count(label) / cast(count(*) as double) as labelled_share,
    avg(label) as base_rate,
    cast(percentile_disc(0.5) within group (order by maturity_minutes) as double) as maturity_median_minutes,
    cast(percentile_disc(0.95) within group (order by maturity_minutes) as double) as maturity_p95_minutes
from by_group_and_period
group by group_column, group_value, period_start
{%- endmacro %}
