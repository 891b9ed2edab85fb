-- A row has a label or a reason why not, never both or neither, and neither is known when the model is
-- asked.
with labels as (

    select * from {{ ref('late_arrival_labels') }}

)

select
    flight_id,
    predicted_at,
    is_late_arrival,
    label_known_at,
    no_label_reason
from labels
where
    (is_late_arrival is null) = (no_label_reason is null)
    or label_known_at <= predicted_at
