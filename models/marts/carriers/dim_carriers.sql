with carriers as (

    select * from {{ ref('stg_carriers') }}

)

select
    carrier_code,
    carrier_name
from carriers
