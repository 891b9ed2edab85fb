-- The year 2013 began on a Tuesday; 10 March was a Sunday, the last day of its week, and 11 March a Monday, the first.
with cases (moment, expected_day) as (

    values
    (timestamp '2013-01-01 00:00:00', 2),
    (timestamp '2013-03-10 00:00:00', 7),
    (timestamp '2013-03-10 23:59:59', 7),
    (timestamp '2013-03-11 00:00:00', 1),
    (timestamp '2016-02-29 12:00:00', 1),
    (cast(null as timestamp), cast(null as integer))

)

select
    moment,
    expected_day,
    {{ iso_day_of_week('moment') }} as found_day,
    {{ iso_day_of_week('cast(moment as date)') }} as found_day_of_date
from cases
where
    {{ iso_day_of_week('moment') }} is distinct from expected_day
    or {{ iso_day_of_week('cast(moment as date)') }} is distinct from expected_day
