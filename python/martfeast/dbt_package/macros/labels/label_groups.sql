{# The groups of a label as columns group_1, group_2 ..., to follow other columns of a select. #}
{% macro label_group_columns(label) -%}
{%- for name in label.groups %},
        case
            when {{ adapter.quote(name) }} is null then '(none)'
            when cast({{ adapter.quote(name) }} as string) = '(none)' then '''(none)'''
            else cast({{ adapter.quote(name) }} as string)
        end as group_{{ loop.index }}
{%- endfor %}
{%- endmacro %}


{#
  Rows of the CTE `asked`, which has label_group_columns, once for all and once for each group of a
  label: group_column, group_value, and what else is selected.
#}
{% macro union_label_groups(label, selected) -%}
{%- for name in ['all'] + label.groups -%}
    select
        '{{ name | replace("'", "''") }}' as group_column,
        {{ "'all'" if loop.first else 'group_' ~ loop.index0 }} as group_value,
        {{ selected | join(',\n        ') }}
    from asked
    {%- if not loop.last %}
    union all
    {% endif %}
{%- endfor %}
{%- endmacro %}
