-- At T a window of 3 hours holds what became known in (T - 3 h, T], with an offset of 2 hours (T - 5 h, T - 2 h]. A fact on
-- the boundary of a step ends it, a second later the next has begun; entities do not mix; facts count in windows also
-- where the spine has no row for their step. Each amount is a power of two, so a sum names its facts.
with hours (hour_at) as (

    values
    (timestamp '2013-07-01 09:00:00'),
    (timestamp '2013-07-01 10:00:00'),
    (timestamp '2013-07-01 12:00:00'),
    (timestamp '2013-07-01 12:30:00'),
    (timestamp '2013-07-01 13:00:00'),
    (timestamp '2013-07-01 14:00:00'),
    (timestamp '2013-07-01 17:00:00'),
    (timestamp '2013-07-01 18:00:00')

),

facts (entity, known_at, amount) as (

    values
    ('a', timestamp '2013-07-01 09:00:00', 1),
    ('a', timestamp '2013-07-01 09:00:01', 2),
    ('a', timestamp '2013-07-01 11:00:00', 4),
    ('a', timestamp '2013-07-01 12:00:00', 8),
    ('a', timestamp '2013-07-01 12:00:00', 16),
    ('a', timestamp '2013-07-01 12:00:01', 32),
    ('a', timestamp '2013-07-01 12:59:59.999', 64),
    ('a', cast(null as timestamp), 128),
    ('b', timestamp '2013-07-01 12:00:00', 256),
    ('b', timestamp '2013-07-01 13:00:01', cast(null as integer))

),

of_each as (

    {{ martfeast.windowed_features(
        facts='facts', entity=['entity'], known_at='known_at', spine='hours', spine_moment='hour_at',
        windows=['3 hours'], offsets=['2 hours'],
        aggregations=[{'name': 'amount', 'function': 'sum', 'of': 'amount', 'type': 'bigint'}]
    ) }}

),

of_all as (

    {{ martfeast.windowed_features(
        facts='facts', entity=[], known_at='known_at', spine='hours', spine_moment='hour_at',
        windows=['3 hours'], offsets=['2 hours'],
        aggregations=[{'name': 'amount', 'function': 'sum', 'of': 'amount', 'type': 'bigint'}]
    ) }}

),

found as (

    select
        entity,
        known_at,
        amount_3h,
        amount_3h_2h_ago
    from of_each

    union all

    select
        'all' as entity,
        known_at,
        amount_3h,
        amount_3h_2h_ago
    from of_all

),

expected (entity, known_at, amount_3h, amount_3h_2h_ago) as (

    values
    ('a', timestamp '2013-07-01 09:00:00', 1, 0),
    ('a', timestamp '2013-07-01 10:00:00', 3, 0),
    ('a', timestamp '2013-07-01 12:00:00', 30, 3),
    ('a', timestamp '2013-07-01 13:00:00', 124, 7),
    ('a', timestamp '2013-07-01 14:00:00', 120, 30),
    ('a', timestamp '2013-07-01 17:00:00', 0, 96),
    ('a', timestamp '2013-07-01 18:00:00', 0, 0),
    ('b', timestamp '2013-07-01 12:00:00', 256, 0),
    ('b', timestamp '2013-07-01 13:00:00', 256, 0),
    ('b', timestamp '2013-07-01 14:00:00', 256, 256),
    ('b', timestamp '2013-07-01 17:00:00', 0, 0),
    ('b', timestamp '2013-07-01 18:00:00', 0, 0),
    ('all', timestamp '2013-07-01 09:00:00', 1, 0),
    ('all', timestamp '2013-07-01 10:00:00', 3, 0),
    ('all', timestamp '2013-07-01 12:00:00', 286, 3),
    ('all', timestamp '2013-07-01 13:00:00', 380, 7),
    ('all', timestamp '2013-07-01 14:00:00', 376, 286),
    ('all', timestamp '2013-07-01 17:00:00', 0, 96),
    ('all', timestamp '2013-07-01 18:00:00', 0, 0)

),

missing as (

    select * from expected
    except all
    select * from found

),

extra as (

    select * from found
    except all
    select * from expected

)

select
    'missing' as problem,
    entity,
    known_at,
    amount_3h,
    amount_3h_2h_ago
from missing

union all

select
    'extra' as problem,
    entity,
    known_at,
    amount_3h,
    amount_3h_2h_ago
from extra
