{#
  The common table expression on which windows lie: the rows to make, the facts of each step, and the changes of how
  many different values there are. What comes of facts alone is no row (is_row), but windows add it up.
#}
{% macro timeline(entity, known_at, partial_names, changes, step) -%}
timeline as (

    select
        {%- for column in entity + [known_at] %}
        coalesce(rows_to_make.{{ column }}, facts_by_step.{{ column }}) as {{ column }},
        {%- endfor %}
        rows_to_make.is_row
        {%- for name in partial_names %},
        facts_by_step.{{ name }}
        {%- endfor %}
        {%- for name in changes %},
        0 as {{ name }}
        {%- endfor %}
    from rows_to_make
    full join facts_by_step
        on
            {% for column in entity -%}
            rows_to_make.{{ column }} = facts_by_step.{{ column }}
            and {% endfor -%}
            rows_to_make.{{ known_at }} = facts_by_step.{{ known_at }}
    {%- for change, one in changes.items() %}
    {%- for is_end in [false, true] %}
    {%- set shift = one.span.offset + (one.span.length if is_end else 0) %}

    union all

    select
        {%- for column in entity %}
        {{ column }},
        {%- endfor %}
        {{ known_at ~ ' + interval ' ~ shift ~ ' ' ~ step ~ ' as ' if shift }}{{ known_at }},
        false as is_row
        {%- for name in partial_names %},
        null as {{ name }}
        {%- endfor %}
        {%- for name in changes %},
        {{ 0 if name != change else -1 if is_end else 1 }} as {{ name }}
        {%- endfor %}
    from {{ one.name }}_spells
    where
        {%- if is_end %}
        next_at is null
        or next_at >= {{ known_at }} + interval {{ one.span.length }} {{ step }}
        {%- else %}
        previous_at is null
        or previous_at + interval {{ one.span.length }} {{ step }} <= {{ known_at }}
        {%- endif %}
    {%- endfor %}
    {%- endfor %}

),
{%- endmacro %}


{#
  The common table expressions that say of each step in which a value occurs when it did before and when it does again.
  A window holds a value from a step in which it was not in the window already, to a window's length after a step in
  which it is not renewed: so windows add up how the number of values changes, and need not look at the values.
#}
{% macro spells_of_values(aggregation, facts, entity, known_at, reach, step, increment) -%}
{%- set value = martfeast.fact_value(aggregation.of, aggregation.where) -%}
{{ aggregation.name }}_occurrences as (

    select distinct
        {%- for column in entity %}
        {{ column }},
        {%- endfor %}
        {{ martfeast.window_end(known_at, step) }} as {{ known_at }},
        {{ value }} as fact_value
    from {{ martfeast.whole_relation(facts, increment) }}
    where
        {{ martfeast.in_reach(known_at, reach, step, increment) }}
        and {{ value }} is not null

),

{{ aggregation.name }}_spells as (

    select
        {{ martfeast.listed(entity + [known_at], 8) }},
        lag({{ known_at }}) over same_value as previous_at,
        lead({{ known_at }}) over same_value as next_at
    from {{ aggregation.name }}_occurrences
    window
        same_value as (
            partition by {{ (entity + ['fact_value']) | join(', ') }}
            order by {{ known_at }}
        )

),
{%- endmacro %}
