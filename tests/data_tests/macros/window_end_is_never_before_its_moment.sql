-- A moment on the boundary ends its window; a second after it, the next one has begun.
with cases (moment, hour_end, day_end) as (

    values
    (timestamp '2013-07-01 08:59:59', timestamp '2013-07-01 09:00:00', timestamp '2013-07-02 00:00:00'),
    (timestamp '2013-07-01 09:00:00', timestamp '2013-07-01 09:00:00', timestamp '2013-07-02 00:00:00'),
    (timestamp '2013-07-01 09:00:01', timestamp '2013-07-01 10:00:00', timestamp '2013-07-02 00:00:00'),
    (timestamp '2013-07-01 23:59:59', timestamp '2013-07-02 00:00:00', timestamp '2013-07-02 00:00:00'),
    (timestamp '2013-07-02 00:00:00', timestamp '2013-07-02 00:00:00', timestamp '2013-07-02 00:00:00'),
    (timestamp '2013-12-31 23:00:01', timestamp '2014-01-01 00:00:00', timestamp '2014-01-01 00:00:00')

)

select
    moment,
    {{ martfeast.window_end('moment', 'hour') }} as found_hour_end,
    {{ martfeast.window_end('moment', 'day') }} as found_day_end
from cases
where
    {{ martfeast.window_end('moment', 'hour') }} is distinct from hour_end
    or {{ martfeast.window_end('moment', 'day') }} is distinct from day_end
