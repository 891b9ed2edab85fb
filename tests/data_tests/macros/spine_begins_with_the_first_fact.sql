-- Each entity's rows begin with the step of its first fact and go on to the last step, facts or not.
with hours (hour_at) as (

    values
    (timestamp '2013-07-01 23:00:00'),
    (timestamp '2013-07-02 00:00:00'),
    (timestamp '2013-07-02 01:00:00'),
    (timestamp '2013-07-03 00:00:00')

),

facts (entity, part, known_at) as (

    values
    ('a', 1, timestamp '2013-07-02 00:00:00'),
    ('a', 1, timestamp '2013-07-03 00:00:00'),
    ('a', 2, timestamp '2013-07-02 01:00:00'),
    ('b', 1, timestamp '2013-07-02 00:30:00'),
    ('after the end', 1, timestamp '2013-07-03 00:00:01')

),

hourly as (

    {{ martfeast.windowed_features(
        facts='facts', entity=['entity', 'part'], known_at='known_at', spine='hours', spine_moment='hour_at',
        aggregations=[{'name': 'fact_count', 'function': 'count', 'windows': ['1 hour']}]
    ) }}

),

daily as (

    {{ martfeast.windowed_features(
        facts='facts', entity=['entity'], known_at='known_at', step='day', spine='hours', spine_moment='hour_at',
        aggregations=[{'name': 'fact_count', 'function': 'count', 'windows': ['1 day']}]
    ) }}

),

found as (

    select
        'hour' as grain,
        entity,
        part,
        known_at
    from hourly

    union all

    select
        'day' as grain,
        entity,
        0 as part,
        known_at
    from daily

),

expected (grain, entity, part, known_at) as (

    values
    ('hour', 'a', 1, timestamp '2013-07-02 00:00:00'),
    ('hour', 'a', 1, timestamp '2013-07-02 01:00:00'),
    ('hour', 'a', 1, timestamp '2013-07-03 00:00:00'),
    ('hour', 'a', 2, timestamp '2013-07-02 01:00:00'),
    ('hour', 'a', 2, timestamp '2013-07-03 00:00:00'),
    ('hour', 'b', 1, timestamp '2013-07-02 01:00:00'),
    ('hour', 'b', 1, timestamp '2013-07-03 00:00:00'),
    ('day', 'a', 0, timestamp '2013-07-02 00:00:00'),
    ('day', 'a', 0, timestamp '2013-07-03 00:00:00'),
    ('day', 'b', 0, timestamp '2013-07-03 00:00:00')

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
    grain,
    entity,
    part,
    known_at
from missing

union all

select
    'extra' as problem,
    grain,
    entity,
    part,
    known_at
from extra
