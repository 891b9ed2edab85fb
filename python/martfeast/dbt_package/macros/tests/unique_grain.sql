{#
  One row for each combination of the columns that make the grain. Returns the combinations that
  occur more than once.
#}
{% test unique_grain(model, columns) %}
{%- set names = martfeast.quoted_columns(columns) | join(', ') -%}
select
    {{ names }},
    count(*) as row_count
from {{ model }}
group by {{ names }}
having count(*) > 1
{% endtest %}
