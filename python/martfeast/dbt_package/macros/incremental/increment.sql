{#
  The part of a model's rows that a run makes anew: none where it makes all of them, else `start` and `end`, SQL of two
  moments in UTC. The rows are those whose event time is from start on and before end; an end of none is open.

  A microbatch model's is dbt's batch. Of an incremental model with the strategy replace_range it is what
  --event-time-start and --event-time-end say; without them it begins with the batch in which the newest row is, as much
  earlier as facts may come late, and is open. A subquery says so, and not a query at compile time, so that the compiled
  SQL is the same in every run.
#}
{% macro increment() %}
  {% set batch = model.get('batch') %}
  {% if batch and batch.get('event_time_start') %}
    {{ return({
      'start': martfeast.literal(batch['event_time_start']),
      'end': martfeast.literal(batch['event_time_end'])
    }) }}
  {% endif %}
  {% if config.get('incremental_strategy') != 'replace_range' or not is_incremental() %}{{ return(none) }}{% endif %}
  {% set given = martfeast.given_range() %}
  {{ return({'start': given.start or martfeast.next_start(), 'end': given.end}) }}
{% endmacro %}


{#
  The condition that a moment is in the part of a model's rows that this run makes anew: SQL, `true` where it makes all of
  them. look_back: how much earlier it begins, such as '7 days', so that windows of that length are whole.
#}
{% macro in_increment(moment, look_back=none) -%}
  {%- set increment = martfeast.increment() -%}
  {%- if not increment -%}
    true
  {%- else -%}
    {{ moment }} >= {{ martfeast.looked_back(increment.start, look_back) }}
    {%- if increment.end %} and {{ moment }} < {{ increment.end }}{% endif -%}
  {%- endif -%}
{%- endmacro %}


{# The condition that a moment lies before those that `in_increment` lets in: SQL, `false` where a run makes all rows. #}
{% macro before_increment(moment, look_back=none) -%}
  {%- set increment = martfeast.increment() -%}
  {{ moment ~ ' < ' ~ martfeast.looked_back(increment.start, look_back) if increment else 'false' }}
{%- endmacro %}


{# A moment, as much earlier; SQL. #}
{% macro looked_back(moment, look_back) %}
  {{ return(moment ~ (" - interval '" ~ look_back ~ "'" if look_back else '')) }}
{% endmacro %}


{# The range that --event-time-start and --event-time-end give, as SQL of two moments; both none where they do not. #}
{% macro given_range() %}
  {% set start = invocation_args_dict.get('event_time_start') %}
  {% set end = invocation_args_dict.get('event_time_end') %}
  {{ return({
    'start': martfeast.literal(modules.datetime.datetime.fromisoformat(start | string)) if start else none,
    'end': martfeast.literal(modules.datetime.datetime.fromisoformat(end | string)) if end else none
  }) }}
{% endmacro %}


{# From where on an increment of this model makes rows anew; SQL. An empty table is made from the beginning. #}
{% macro next_start() %}
  {% set batch = martfeast.batch_of(model) %}
  {% set newest = 'max(' ~ martfeast.event_time_of(model) ~ ')' %}
  {% set start = dbt.date_trunc(batch.size, newest) ~ " - interval '" ~ batch.lateness ~ "'" %}
  {{ return('(select coalesce(' ~ start ~ ", cast('0001-01-01' as timestamp)) from " ~ this ~ ')') }}
{% endmacro %}


{#
  How a model is made by ranges of event time: `size` of its batches (hour, day, month or year), `lateness` of facts that
  still change its rows, `start` of its history; each none for a model that is not. A mart says so in meta.feast, another
  model in dbt's own words: batch_size, lookback and begin.
#}
{% macro batch_of(node) %}
  {% set strategy = node.config.get('incremental_strategy') %}
  {% if node.config.get('materialized') != 'incremental' or strategy not in ['microbatch', 'replace_range'] %}
    {{ return({'size': none, 'lateness': none, 'start': none}) }}
  {% endif %}
  {% set feast = martfeast.feast_meta(node) %}
  {% set feast = feast if feast is mapping else {} %}
  {% set batch = feast.get('batch') if feast.get('batch') is mapping else {} %}
  {% set size = batch.get('size') or node.config.get('batch_size') or 'day' %}
  {% set lookback = node.config.get('lookback') %}
  {% set start = feast.get('start') or node.config.get('begin') %}
  {% set start = modules.datetime.datetime.fromisoformat(start | string) if start else none %}
  {% set start = start.astimezone(modules.pytz.utc) if start and start.tzinfo else start %}
  {{ return({
    'size': size | string | lower,
    'lateness': batch.get('lateness') or (1 if lookback is none else lookback) ~ ' ' ~ size,
    'start': martfeast.moment(start)
  }) }}
{% endmacro %}


{# The column of the time that a model's ranges are of: a mart's timestamp, or dbt's event_time. #}
{% macro event_time_of(node) %}
  {% set feast = martfeast.feast_meta(node) %}
  {% set event_time = (feast.get('timestamp') if feast is mapping else none) or node.config.get('event_time') %}
  {% if not event_time %}
    {{ exceptions.raise_compiler_error(
      node.name ~ ' is made by ranges of event time, and does not say which column that is. Add event_time: <column> '
      ~ 'under its config.'
    ) }}
  {% endif %}
  {{ return(adapter.quote(event_time)) }}
{% endmacro %}
