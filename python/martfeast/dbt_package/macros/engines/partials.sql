{#
  SQL of what windows add up: partial results of the facts of one step, which are put together with those of other
  steps. Every one of them dispatches, because engines differ in structs and in how wide a product may be.
#}

{#
  A value with its moment, null where the value is: the greatest is the newest, and of several at one moment the one
  with the greatest value. Its value is taken as `(<the greatest>).fact_value`.
#}
{% macro value_at(moment, expression) %}
  {{- return(adapter.dispatch('value_at', 'martfeast')(moment, expression)) -}}
{% endmacro %}

{% macro duckdb__value_at(moment, expression) %}
  {%- set value -%}
    case when {{ expression }} is not null then struct_pack(fact_known_at := {{ moment }}, fact_value := {{ expression }}) end
  {%- endset -%}
  {{- return(value) -}}
{% endmacro %}

{% macro default__value_at(moment, expression) %}
  {%- set value -%}
    case when {{ expression }} is not null then named_struct('fact_known_at', {{ moment }}, 'fact_value', {{ expression }}) end
  {%- endset -%}
  {{- return(value) -}}
{% endmacro %}


{#
  The square of a number: exact, and wide enough to be added up, where the number is an integer or a decimal. The
  expression is a column or in parentheses.
#}
{% macro square_of(expression) %}
  {{- return(adapter.dispatch('square_of', 'martfeast')(expression)) -}}
{% endmacro %}

{% macro duckdb__square_of(expression) %}
  {{- return(expression ~ ' * cast(1 as hugeint) * ' ~ expression) -}}
{% endmacro %}

{% macro default__square_of(expression) %}
  {{- return(expression ~ ' * cast(1 as decimal(1, 0)) * ' ~ expression) -}}
{% endmacro %}
