-- In New York clocks went forward on 10 March 2013 at 02:00 and back on 3 November at 02:00; in Puerto Rico never. The
-- hour from 02:00 of 10 March was never shown: it is taken as if the clocks had not yet changed.
with cases (local_at, time_zone, expected_at) as (

    values
    (timestamp '2013-01-01 00:00:00', 'America/New_York', timestamp '2013-01-01 05:00:00'),
    (timestamp '2013-07-01 00:00:00', 'America/New_York', timestamp '2013-07-01 04:00:00'),
    (timestamp '2013-03-10 01:59:59', 'America/New_York', timestamp '2013-03-10 06:59:59'),
    (timestamp '2013-03-10 02:00:00', 'America/New_York', timestamp '2013-03-10 07:00:00'),
    (timestamp '2013-03-10 02:59:59', 'America/New_York', timestamp '2013-03-10 07:59:59'),
    (timestamp '2013-03-10 03:00:00', 'America/New_York', timestamp '2013-03-10 07:00:00'),
    (timestamp '2013-11-03 00:59:59', 'America/New_York', timestamp '2013-11-03 04:59:59'),
    (timestamp '2013-11-03 01:00:00', 'America/New_York', timestamp '2013-11-03 05:00:00'),
    (timestamp '2013-11-03 01:59:59', 'America/New_York', timestamp '2013-11-03 05:59:59'),
    (timestamp '2013-11-03 02:00:00', 'America/New_York', timestamp '2013-11-03 07:00:00'),
    (timestamp '2013-11-03 01:30:00', 'America/Puerto_Rico', timestamp '2013-11-03 05:30:00'),
    (timestamp '2013-07-01 00:00:00', 'America/Puerto_Rico', timestamp '2013-07-01 04:00:00'),
    (timestamp '2013-12-31 23:30:00', 'Pacific/Honolulu', timestamp '2014-01-01 09:30:00')

)

select
    local_at,
    time_zone,
    expected_at,
    {{ local_to_utc('local_at', 'time_zone') }} as found_at
from cases
where {{ local_to_utc('local_at', 'time_zone') }} is distinct from expected_at
