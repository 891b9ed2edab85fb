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
