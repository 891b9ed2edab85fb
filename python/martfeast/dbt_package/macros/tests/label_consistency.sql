{#
  The label is what its source reports: SQL of the label over the relation `to`, joined by `keys`
  (columns of both). Returns rows whose label differs, or is on one side only.
#}
{% test label_consistency(model, column_name, to, keys, reported) %}
{%- set names = martfeast.quoted_columns(keys) -%}
with labels as (

    select
        {{ names | join(', ') }},
        {{ column_name }} as label,
        true as is_there
    from {{ model }}

),

reports as (

    select
        {{ names | join(', ') }},
        {{ reported }} as label,
        true as is_there
    from {{ to }}

)

select
    {% for key in names -%}
    coalesce(labels.{{ key }}, reports.{{ key }}) as {{ key }},
    {% endfor -%}
    labels.label,
    reports.label as reported_label
from labels
full outer join reports
    on {% for key in names %}labels.{{ key }} is not distinct from reports.{{ key }}
    {%- if not loop.last %} and {% endif %}{% endfor %}
where
    labels.label is distinct from reports.label
    or labels.is_there is null
    or reports.is_there is null
{% endtest %}
