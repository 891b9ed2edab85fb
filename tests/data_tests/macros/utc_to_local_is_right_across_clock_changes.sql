-- The hour that New York's clocks skip is never shown; the one that they repeat is shown twice.
with cases (utc_at, time_zone, expected_at) as (

    values
    (timestamp '2013-03-10 06:59:59', 'America/New_York', timestamp '2013-03-10 01:59:59'),
    (timestamp '2013-03-10 07:00:00', 'America/New_York', timestamp '2013-03-10 03:00:00'),
    (timestamp '2013-11-03 05:30:00', 'America/New_York', timestamp '2013-11-03 01:30:00'),
    (timestamp '2013-11-03 05:59:59', 'America/New_York', timestamp '2013-11-03 01:59:59'),
    (timestamp '2013-11-03 06:00:00', 'America/New_York', timestamp '2013-11-03 01:00:00'),
    (timestamp '2013-11-03 06:30:00', 'America/New_York', timestamp '2013-11-03 01:30:00'),
    (timestamp '2013-11-03 07:00:00', 'America/New_York', timestamp '2013-11-03 02:00:00'),
    (timestamp '2013-07-01 04:00:00', 'America/Puerto_Rico', timestamp '2013-07-01 00:00:00'),
    (timestamp '2014-01-01 09:30:00', 'Pacific/Honolulu', timestamp '2013-12-31 23:30:00')

)

select
    utc_at,
    time_zone,
    expected_at,
    {{ utc_to_local('utc_at', 'time_zone') }} as found_at
from cases
where {{ utc_to_local('utc_at', 'time_zone') }} is distinct from expected_at
