-- Midnight begins the day as 0 and ends it as 2400; an hour has 60 minutes and not 100.
with cases (clock, expected_minutes) as (

    values
    (0, 0),
    (1, 1),
    (59, 59),
    (100, 60),
    (517, 317),
    (1259, 779),
    (2359, 1439),
    (2400, 1440),
    (cast(null as integer), cast(null as integer))

)

select
    clock,
    expected_minutes,
    {{ clock_to_minutes('clock') }} as found_minutes
from cases
where {{ clock_to_minutes('clock') }} is distinct from expected_minutes
