{#
  One row for each combination of the columns that make the grain. Returns the combinations that
  occur more than once.
#}
{% test unique_grain(model, columns) %}
select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
