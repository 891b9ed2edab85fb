{#
  All that speaks against publishing a mart, each reason once.
#}
{% macro judge_reasons() %}
{% set judge = martfeast.judge_schema() %}
select
    mart_id,
    priority,
    reason
from {{ judge }}.build_reasons
where reason is not null

union

select
    mart_id,
    priority,
    reason
from {{ judge }}.order_reasons

union

select
    mart_id,
    1 as priority,
    reason
from {{ judge }}.range_reasons

union

select
    mart_id,
    priority,
    reason
from {{ judge }}.test_results
where reason is not null and is_blocking

union

select
    mart_id,
    0 as priority,
    reason
from {{ judge }}.unit_test_results
where reason is not null
{% endmacro %}
