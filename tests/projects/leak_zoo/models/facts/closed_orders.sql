-- A table as a source has it: orders that were closed by now.
select order_id from {{ ref('order_log') }} where version = 1 and amount > 45
