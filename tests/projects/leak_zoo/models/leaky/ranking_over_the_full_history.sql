with totals as (

    select
        customer_id,
        count(*) as order_count
    from {{ ref('orders') }}
    group by customer_id

),

ranked as (

    select
        customer_id,
        rank() over (order by order_count desc) as customer_rank
    from totals

)

select
    orders.order_id as subject_id,
    orders.ordered_at as known_at,
    cast(ranked.customer_rank as double) as feature_value
from {{ ref('orders') }} as orders
inner join ranked on orders.customer_id = ranked.customer_id
