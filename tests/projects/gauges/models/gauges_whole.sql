{{ gauge_windows(ref('readings')) }}
