-- The 3 hours before 12:00 leave out 09:00 and hold a second later and 12:00 itself; keys do not mix.
with facts (entity, known_at, amount, expected_sum) as (

    values
    ('a', timestamp '2013-07-01 09:00:00', 1, 1),
    ('a', timestamp '2013-07-01 09:00:01', 2, 3),
    ('a', timestamp '2013-07-01 12:00:00', 4, 6),
    ('a', timestamp '2013-07-01 12:00:01', 8, 12),
    ('b', timestamp '2013-07-01 12:00:00', 16, 16)

),

summed as (

    select
        entity,
        known_at,
        expected_sum,
        sum(amount) over {{ rolling_window('entity', 'known_at', 3) }} as found_sum
    from facts

)

select
    entity,
    known_at,
    expected_sum,
    found_sum
from summed
where found_sum <> expected_sum
