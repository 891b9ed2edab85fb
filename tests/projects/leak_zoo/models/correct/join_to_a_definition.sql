select
    orders.order_id as subject_id,
    orders.ordered_at as known_at,
    cast(case when time_bands.is_rush_hour then 1 else 0 end as double) as feature_value
from {{ ref('orders') }} as orders
left join {{ ref('time_bands') }} as time_bands
    on extract(hour from orders.ordered_at) = time_bands.hour_of_day
