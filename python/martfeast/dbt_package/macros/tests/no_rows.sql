{#
  One row if a relation has none: an audit of nothing shows nothing. With --empty and --sample that
  is as it should be.
#}
{% macro no_rows(model) -%}
select
    'all' as group_column,
    'all' as group_value,
    count(*) as row_count,
    null as labelled_share
from {{ model }}
having count(*) = 0{{ ' and 1 = 0' if martfeast.is_part_of_the_data() }}
{%- endmacro %}
