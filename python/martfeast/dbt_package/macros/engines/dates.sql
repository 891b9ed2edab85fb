{#
  dbt's dateadd and datediff as Spark should have them. dbt-spark's dateadd takes the interval's SQL without
  parentheses, so that `a + 1440` minutes become something else, and drops what is below a second; its datediff rounds
  where every other adapter counts the boundaries between the two moments
  (https://github.com/dbt-labs/dbt-adapters/issues/1554).

  dbt takes these instead where the project says so, in dbt_project.yml:

      dispatch:
        - macro_namespace: dbt
          search_order: [<the project>, martfeast, dbt]
#}
{% macro spark__dateadd(datepart, interval, from_date_or_timestamp) -%}
  timestampadd({{ datepart }}, cast(({{ interval }}) as int), {{ from_date_or_timestamp }})
{%- endmacro %}


{# first_date, second_date: SQL of dates or timestamps. How many times a datepart begins after the first, up to the second. #}
{% macro spark__datediff(first_date, second_date, datepart) -%}
  {#- dbt's weeks begin on Sunday, and Spark's on Monday. -#}
  {%- set shift = ' + interval 1 day' if datepart | lower == 'week' else '' -%}
  timestampdiff(
    {{ datepart }},
    date_trunc('{{ datepart }}', {{ first_date }}{{ shift }}),
    date_trunc('{{ datepart }}', {{ second_date }}{{ shift }})
  )
{%- endmacro %}
