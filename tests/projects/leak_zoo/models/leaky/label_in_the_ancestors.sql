select
    subject_id,
    label_known_at as known_at,
    cast(case when is_late then 1 else 0 end as double) as feature_value
from {{ ref('late_labels') }}
where label_known_at is not null
