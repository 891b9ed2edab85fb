{% set names = adapter.get_columns_in_relation(ref('orders')) | map(attribute='name') | list %}
select
    order_id as subject_id,
    ordered_at as known_at,
    cast({{ 'shop_id' if 'shop_id' in names or not execute else 'null' }} as double) as feature_value
from {{ ref('orders') }}
