{#
  dbt's incremental strategy `replace_range`: all rows of the increment's range give way to those that the model makes
  of it now, in one transaction, and so does the evidence of it. Rows that the model gives outside of the range are left
  out. A project names it in a macro of its own, because dbt looks for strategies there:

      {% raw %}{% macro get_incremental_replace_range_sql(arguments) %}
        {{ return(martfeast.replace_range_sql(arguments)) }}
      {% endmacro %}{% endraw %}

  arguments: what dbt gives to a strategy: target_relation, temp_relation, dest_columns.
#}
{% macro replace_range_sql(arguments) %}
  {% set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') %}
  {% set event_time = martfeast.event_time_of(model) %}
  {% set increment = martfeast.increment() %}
  {% set ranges = martfeast.evidence_schema() ~ '.ranges' %}
  {% set range_start %}(
        select max(ranges.range_start) from {{ ranges }} as ranges
        where
            ranges.invocation_id = {{ martfeast.literal(invocation_id) }}
            and ranges.node_id = {{ martfeast.literal(model.unique_id) }}
    ){% endset %}
  {% set sql %}
    insert into {{ ranges }}
    select
        {{ martfeast.literal(invocation_id) }} as invocation_id,
        {{ martfeast.literal(model.unique_id) }} as node_id,
        {{ martfeast.literal(model.relation_name) }} as relation,
        {{ increment.start }} as range_start,
        {{ increment.end or 'null' }} as range_end,
        null as horizon,
        null as look_back_seconds;

    delete from {{ arguments['target_relation'] }}
    where
        {{ event_time }} >= {{ range_start }}
        {% if increment.end %}and {{ event_time }} < {{ increment.end }}{% endif %};

    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arguments['temp_relation'] }}
    where
        {{ event_time }} >= {{ range_start }}
        {% if increment.end %}and {{ event_time }} < {{ increment.end }}{% endif %}
  {% endset %}
  {{ return(sql) }}
{% endmacro %}
