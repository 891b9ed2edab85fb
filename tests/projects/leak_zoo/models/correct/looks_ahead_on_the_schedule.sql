-- How many orders are promised for the next day: it looks ahead, at what is known.
with hours as (

    select
        shop_id,
        date_trunc('hour', ordered_at) + interval 1 hour as hour_end_at
    from {{ ref('orders') }}
    group by all

)

select
    hours.shop_id as subject_id,
    hours.hour_end_at as known_at,
    cast(count(*) as double) as feature_value
from hours
inner join {{ ref('orders') }} as orders
    on
        hours.shop_id = orders.shop_id
        and orders.ordered_at <= hours.hour_end_at
        and orders.promised_at > hours.hour_end_at
group by all
