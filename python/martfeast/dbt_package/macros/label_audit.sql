{#
  How well a label mart covers what it stands for: a query for a model of its own.

    -- models/marts/labels/late_payment_label_audit.sql
    {{ martfeast.label_audit(ref('late_payment_labels')) }}

  label_mart: the relation of a model with a label under config.meta.feast; its groups are those
  that the label declares. One row for each group_column and group_value, over the whole time
  (period_start is null) and by calendar month of the moment asked, UTC. The group_column `all` has
  every row under the value `all`; a null is the value `(none)`.
#}
{% macro label_audit(label_mart) -%}
{%- set label = martfeast.label_of(label_mart) -%}
with asked as (

    select
        {{ adapter.quote(label.timestamp) }} as asked_at,
        cast({{ adapter.quote(label.column) }} as double) as label,
        {{ dbt.datediff(adapter.quote(label.timestamp), adapter.quote(label.known_at), 'minute') }}
            as maturity_minutes
        {{- martfeast.label_group_columns(label) }}
    from {{ label_mart }}

),

by_group as (

    {{ martfeast.union_label_groups(label, [
        'cast(' ~ dbt.date_trunc('month', 'asked_at') ~ ' as timestamp) as period_start',
        'label',
        'case when label is not null then maturity_minutes end as maturity_minutes'
    ]) }}

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
    percentile_cont(0.5) within group (order by maturity_minutes) as maturity_median_minutes,
    percentile_cont(0.95) within group (order by maturity_minutes) as maturity_p95_minutes
from by_group_and_period
group by group_column, group_value, period_start
{%- endmacro %}

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
            cast({{ adapter.quote(label.missing_reason) if label.missing_reason else 'null' }} as varchar), '(no reason given)'
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

{# The groups of a label as columns group_1, group_2 ..., to follow other columns of a select. #}
{% macro label_group_columns(label) -%}
{%- for name in label.groups %},
        coalesce(cast({{ adapter.quote(name) }} as varchar), '(none)') as group_{{ loop.index }}
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

{#
  What a model declares of its label under config.meta.feast: timestamp, column, known_at,
  missing_reason and groups. relation: of the model, or a subquery over it.
#}
{% macro label_of(relation) %}
  {% if not execute %}
    {{ return({'timestamp': 'asked_at', 'column': 'label', 'known_at': 'known_at', 'groups': []}) }}
  {% endif %}
  {% if not graph.nodes %}
    {{ exceptions.raise_compiler_error(
      'dbt does not tell unit tests what models declare, so an audit of a label cannot have one.'
    ) }}
  {% endif %}
  {#- One name may be the beginning of another: the longest that is in the text is meant. -#}
  {% set text = relation | string %}
  {% set found = namespace(label=none, length=0) %}
  {% for node in graph.nodes.values() if node.resource_type == 'model' %}
    {% set feast = node.config.get('meta', {}).get('feast') or {} %}
    {% set name = node.relation_name or '' %}
    {% if feast.label and name in text and name | length > found.length %}
      {% set found.length = name | length %}
      {% set found.label = {
        'timestamp': feast.timestamp,
        'column': feast.label.column,
        'known_at': feast.label.known_at,
        'missing_reason': feast.label.missing_reason,
        'groups': feast.label.groups or []
      } %}
    {% endif %}
  {% endfor %}
  {% if found.label %}
    {{ return(found.label) }}
  {% endif %}
  {{ exceptions.raise_compiler_error(
    relation ~ ' is no model with a label. Give it config.meta.feast.label, or name another.'
  ) }}
{% endmacro %}
