{{ gauge_windows(ref('readings'), step='day') }}
