{#
  What is taken of the facts of each step, so that windows need only put steps together: a mapping from SQL of the
  partial result to its column's `name` and to how windows `merge` it. Aggregations that need the same share it.
#}
{% macro window_partials(aggregations, known_at) %}
  {% set partials = {} %}
  {% for aggregation in aggregations %}
    {% for kind, partial in martfeast.partials_of(aggregation, known_at).items() if partial not in partials %}
      {% set merge = {'least': 'min', 'greatest': 'max', 'last': 'max'}.get(kind, 'sum') %}
      {% do partials.update({partial: {'name': aggregation.name ~ '_' ~ kind, 'merge': merge}}) %}
    {% endfor %}
  {% endfor %}
  {{ return(partials) }}
{% endmacro %}


{# The partial results that one aggregation needs, by kind: SQL of aggregates of the facts. #}
{% macro partials_of(aggregation, known_at) %}
  {% set function = aggregation.function %}
  {% set value = martfeast.fact_value(aggregation.of, aggregation.where) %}
  {% if function == 'count' %}
    {{ return({'count': 'count(' ~ (value if aggregation.of or aggregation.where else '*') ~ ')'}) }}
  {% elif function == 'sum' %}
    {{ return({'sum': 'sum(' ~ value ~ ')'}) }}
  {% elif aggregation.per %}
    {% set per = martfeast.fact_value(aggregation.per, aggregation.where) %}
    {{ return({'sum': 'sum(' ~ value ~ ')', 'count': 'sum(' ~ per ~ ')'}) }}
  {% elif function == 'mean' %}
    {{ return({'sum': 'sum(' ~ value ~ ')', 'count': 'count(' ~ value ~ ')'}) }}
  {% elif function == 'share' %}
    {{ return({'sum': 'count(case when ' ~ value ~ ' then 1 end)', 'count': 'count(' ~ value ~ ')'}) }}
  {% elif function == 'stddev' %}
    {{ return({
      'sum': 'sum(' ~ value ~ ')',
      'count': 'count(' ~ value ~ ')',
      'squares': 'sum(' ~ martfeast.square_of(value) | trim ~ ')',
    }) }}
  {% elif function == 'min' %}
    {{ return({'least': 'min(' ~ value ~ ')'}) }}
  {% elif function == 'max' %}
    {{ return({'greatest': 'max(' ~ value ~ ')'}) }}
  {% elif function == 'last' %}
    {{ return({'last': 'max(' ~ martfeast.value_at(known_at, value) | trim ~ ')'}) }}
  {% else %}
    {#- Different values are no sum of steps: see spells_of_values. -#}
    {{ return({}) }}
  {% endif %}
{% endmacro %}


{# An expression of the facts, null where `where` does not hold; 1 without an expression. #}
{% macro fact_value(expression, where) %}
  {% if where %}
    {{ return('(case when ' ~ where ~ ' then ' ~ (expression or 1) ~ ' end)') }}
  {% endif %}
  {% set is_column = modules.re.fullmatch('[A-Za-z0-9_.]+', expression or '') %}
  {{ return(expression if is_column else '(' ~ expression ~ ')') }}
{% endmacro %}


{# A feature, out of the merged partial results of its window: SQL, of its type. #}
{% macro window_result(aggregation, partials, span, known_at) %}
  {% set merged = {} %}
  {% for kind, partial in martfeast.partials_of(aggregation, known_at).items() %}
    {% do merged.update({kind: partials[partial].name ~ '_' ~ span.name}) %}
  {% endfor %}
  {% set function = aggregation.function %}
  {% if function in ['mean', 'share'] %}
    {% set result = 'cast(' ~ merged.sum ~ ' as double) / nullif(cast(' ~ merged.count ~ ' as double), 0)' %}
  {% elif function == 'stddev' %}
    {% set result = martfeast.deviation_of(merged) | trim %}
  {% elif function == 'last' %}
    {% set result = '(' ~ merged.last ~ ').fact_value' %}
  {% elif function == 'distinct' %}
    {% set result = aggregation.name ~ '_values_' ~ span.name %}
  {% else %}
    {% set result = merged.values() | first %}
  {% endif %}
  {% if aggregation.empty is not none %}
    {% set result = 'coalesce(' ~ result ~ ', ' ~ aggregation.empty ~ ')' %}
  {% endif %}
  {% set is_of_type = aggregation.type == 'double' and function in ['mean', 'share', 'stddev'] %}
  {{ return(result if is_of_type or not aggregation.type else 'cast(' ~ result ~ ' as ' ~ aggregation.type ~ ')') }}
{% endmacro %}


{#
  The standard deviation of a sample: SQL. What rounding would leave below zero, where all values are the same, is
  zero; null below two values.
#}
{% macro deviation_of(merged) %}
  {% set n = merged.count %}
  sqrt(greatest(cast({{ n }} * {{ merged.squares }} - {{ martfeast.square_of(merged.sum) | trim }} as double), 0)
    / nullif(cast({{ n }} as double) * ({{ n }} - 1), 0))
{% endmacro %}
