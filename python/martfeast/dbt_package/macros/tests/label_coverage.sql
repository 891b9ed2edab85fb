{#
  Audits of a label, to be attached to the label's column; each returns what breaks a threshold.
  Groups are those that the label declares. Groups and months of fewer than minimum_rows rows are
  left out where they stand alone, because their shares say little.
#}

{# The share of rows that have a label, of the whole and of each group, is not below a minimum. #}
{% test label_coverage(
    model, column_name, minimum_share, minimum_share_by_group=none, minimum_rows=100
) %}
select
    group_column,
    group_value,
    row_count,
    labelled_share
from ({{ martfeast.label_audit(model) }}) as audit
where
    period_start is null
    and (
        (group_column = 'all' and labelled_share < {{ minimum_share }})
        {% if minimum_share_by_group is not none %}
        or (
            group_column <> 'all' and row_count >= {{ minimum_rows }}
            and labelled_share < {{ minimum_share_by_group }}
        )
        {% endif %}
    )

union all

{{ martfeast.no_rows(model) }}
{% endtest %}
