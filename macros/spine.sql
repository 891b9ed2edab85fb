{#
  The spine of a mart: a row for every step of time from an entity's first fact on, so that a quiet night still
  shows the windows emptying. It is the body of a common table expression.

  facts: the relation with the facts, a name in scope that has the keys and known_at.
  keys: the names of the entity's columns, a list.
  steps: the relation with all steps of time, a name in scope that has hour_at. grain: 'hour' or 'day', of the steps
  that are kept.
#}
{% macro spine(facts, keys, steps='hours', grain='hour') -%}
with first_seen as (
        select
            {{ keys | join(',\n            ') }},
            min(known_at) as first_known_at
        from {{ facts }}
        group by {{ keys | join(', ') }}
    )

    select
        {%- for key in keys %}
        first_seen.{{ key }},
        {%- endfor %}
        {{ steps }}.hour_at as known_at
    from first_seen
    inner join {{ steps }} on first_seen.first_known_at <= {{ steps }}.hour_at
    {%- if grain != 'hour' %}
    where {{ steps }}.hour_at = {{ dbt.date_trunc(grain, steps ~ '.hour_at') }}
    {%- endif %}
{%- endmacro %}
