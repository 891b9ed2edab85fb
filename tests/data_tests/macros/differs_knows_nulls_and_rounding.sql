-- Sums in another order differ in the last digits; a null and a number are never alike.
with cases (left_value, right_value, is_different) as (

    values
    (cast(1.0 as double), cast(1.0 as double), false),
    (0.0, 1e-9, false),
    (0.0, 1.1e-9, true),
    (1.0, 1.0 + 1e-10, false),
    (1.0, 1.0 + 1e-8, true),
    (1.0, 1.0 - 1e-8, true),
    (0.0, null, true),
    (null, 0.0, true),
    (null, null, false)

)

select
    left_value,
    right_value,
    is_different
from cases
where coalesce({{ differs('left_value', 'right_value') }}, false) <> is_different
