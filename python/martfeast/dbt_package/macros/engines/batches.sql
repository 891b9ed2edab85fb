{#
  dbt-spark replaces the rows of a batch by overwriting whole partitions of the table: those in which the batch has rows
  now. So a partition has to hold one batch and no other, and one that has no rows any more has to be dropped. A model
  that is made by batches says `partition_by: batch_start`, and the package makes that column: it is in the table on
  Spark, and not in the model's SQL or contract.

  dbt takes these macros where the project's `dispatch` names the package before dbt, as it has to on Spark.
#}
{% macro spark__create_table_as(temporary, relation, compiled_code, language='sql') -%}
  {%- if temporary and martfeast.has_partition_of_batch() -%}
    {{ dbt.spark__create_table_as(true, relation, martfeast.replacing_batch(compiled_code)) }}
  {%- elif martfeast.has_partition_of_batch() and not config.get('contract').enforced -%}
    {{ dbt.spark__create_table_as(false, relation, martfeast.rows_of_batch(compiled_code)) }}
  {%- else -%}
    {{ dbt.spark__create_table_as(temporary, relation, compiled_code, language) }}
  {%- endif -%}
{%- endmacro %}


{# What a table with a contract is made of; dbt compares the columns of the contract with the model's SQL before. #}
{% macro spark__get_select_subquery(sql) -%}
  {%- set contracted = dbt.default__get_select_subquery(sql) -%}
  {{ martfeast.rows_of_batch(contracted) if martfeast.has_partition_of_batch() else contracted }}
{%- endmacro %}


{# Whether dbt makes a batch of this model now, and keeps it in a partition that the package makes. #}
{% macro has_partition_of_batch() %}
  {% set batch = model.get('batch') or {} %}
  {{ return(batch.get('event_time_start') is not none and martfeast.is_partitioned_by_batch(model)) }}
{% endmacro %}


{# Whether a model says that a partition of its table is a batch. #}
{% macro is_partitioned_by_batch(node) %}
  {% set partition_by = node.config.get('partition_by') %}
  {{ return(partition_by in ['batch_start', ['batch_start']]) }}
{% endmacro %}


{# The name of the partition that holds the batch: its first moment, as short as its size allows. #}
{% macro partition_of_batch() %}
  {{ return(model['batch']['event_time_start'].strftime(martfeast.partition_format(config.get('batch_size')))) }}
{% endmacro %}


{# How the partitions of batches of a size are named, in Python's words for parts of a moment. #}
{% macro partition_format(batch_size) %}
  {{ return({'hour': '%Y-%m-%d %H', 'day': '%Y-%m-%d', 'month': '%Y-%m', 'year': '%Y'}[batch_size | string]) }}
{% endmacro %}


{# A partition of a table whose name is not that of a batch of this size: rows of its time would be there twice. None if there is none. #}
{% macro partition_of_another_size(relation, batch_size) %}
  {% set length = run_started_at.strftime(martfeast.partition_format(batch_size)) | length %}
  {% for row in run_query('show partitions ' ~ relation).rows %}
    {% set name = row[0].split('=')[1] %}
    {% if name | length != length %}{{ return(name) }}{% endif %}
  {% endfor %}
  {{ return(none) }}
{% endmacro %}


{# The rows of a batch with the partition that they belong to. Rows that the model gives outside of it are left out. #}
{% macro rows_of_batch(sql) %}
  {%- set increment = martfeast.increment() -%}
  {%- set event_time = martfeast.event_time_of(model) -%}
    select
        *,
        {{ martfeast.literal(martfeast.partition_of_batch()) }} as batch_start
    from (
        {{ sql }}
    ) as batch_rows
    where {{ event_time }} >= {{ increment.start }} and {{ event_time }} < {{ increment.end }}
{% endmacro %}


{#
  The rows of a batch that replace those of before. If there are none, dbt-spark would leave those of before: their
  partition is dropped here. To see that, the rows are computed, and kept for the insert.
#}
{% macro replacing_batch(sql) %}
  {% set rows = martfeast.rows_of_batch(sql) %}
  {% set partition = "partition (batch_start = " ~ martfeast.literal(martfeast.partition_of_batch()) ~ ")" %}
  {% if not run_query('show partitions ' ~ this ~ ' ' ~ partition).rows %}{{ return(rows) }}{% endif %}
  {% set kept = adapter.quote(this.identifier ~ '__martfeast_batch') %}
  {% do run_query('drop view if exists ' ~ kept) %}
  {% do run_query('cache lazy table ' ~ kept ~ ' as ' ~ rows) %}
  {% if not run_query('select 1 from ' ~ kept ~ ' limit 1').rows %}
    {% do run_query('alter table ' ~ this ~ ' drop if exists ' ~ partition) %}
  {% endif %}
  {{ return('select * from ' ~ kept) }}
{% endmacro %}


{#
  Stop before anything is changed, where a model in the lineage of a mart is to be made by ranges, and Spark would
  overwrite rows of other batches, or does not know how.
#}
{% macro require_batch_partitions() %}
  {% set lineage = {} %}
  {% for node in graph.nodes.values() if node.resource_type == 'model' and martfeast.feast_meta(node) is not none %}
    {% do martfeast.collect_ancestors(node.unique_id, lineage) %}
  {% endfor %}
  {% for node_id in selected_resources if node_id in lineage and node_id in graph.nodes %}
    {% set node = graph.nodes[node_id] %}
    {% if not martfeast.batch_of(node).size %}
    {% elif node.config.incremental_strategy != 'microbatch' %}
      {{ exceptions.raise_compiler_error(
        node.name ~ ' has the strategy ' ~ node.config.incremental_strategy ~ ', which Spark cannot run: a table there '
        ~ 'is replaced by partition only. Nothing was changed. Write incremental_strategy: microbatch and partition_by: '
        ~ 'batch_start under its config, or materialized: table.'
      ) }}
    {% elif not martfeast.is_partitioned_by_batch(node) %}
      {{ exceptions.raise_compiler_error(
        node.name ~ ' is made by batches, and Spark replaces whole partitions: each has to hold one batch. Nothing was '
        ~ 'changed. Write partition_by: batch_start under its config; the column is made for you.'
      ) }}
    {% else %}
      {% set there = adapter.get_relation(node.database, node.schema, node.alias) %}
      {% set columns = adapter.get_columns_in_relation(there) | map(attribute='name') | list if there else ['batch_start'] %}
      {% if 'batch_start' not in columns and not flags.FULL_REFRESH %}
        {{ exceptions.raise_compiler_error(
          node.name ~ ' is made by batches, and its table was made before it had a partition for each. Nothing was changed. '
          ~ 'Run dbt run --full-refresh --select ' ~ node.name ~ ', which makes it anew from its begin on.'
        ) }}
      {% endif %}
      {% set other = martfeast.partition_of_another_size(there, node.config.batch_size) if there and not flags.FULL_REFRESH else none %}
      {% if other %}
        {{ exceptions.raise_compiler_error(
          node.name ~ ' is made by batches of a ' ~ node.config.batch_size ~ ', and its table has a partition ' ~ other
          ~ ', of batches of another size: rows would be there twice. Nothing was changed. Run dbt run --full-refresh '
          ~ '--select ' ~ node.name ~ ', or set batch_size to what it was.'
        ) }}
      {% endif %}
    {% endif %}
  {% endfor %}
{% endmacro %}
