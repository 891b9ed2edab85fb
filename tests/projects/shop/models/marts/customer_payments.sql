-- What was known of a customer's payments whenever one came in.
with payments as (
    select
        orders.customer_id,
        payments.paid_at,
        payments.amount_euros,
        date_diff('second', orders.ordered_at, payments.paid_at) / 86400 as days_to_pay
    from {{ ref('stg_payments') }} as payments
    inner join {{ ref('stg_orders') }} as orders on payments.order_id = orders.order_id
)

select
    customer_id,
    paid_at,
    count(*) over so_far as payment_count,
    sum(amount_euros) over so_far as paid_euros,
    avg(days_to_pay) over so_far as mean_days_to_pay,
    max(days_to_pay) over so_far as longest_days_to_pay
from payments
window so_far as (partition by customer_id order by paid_at)
