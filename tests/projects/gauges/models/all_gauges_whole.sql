{{ gauge_windows(ref('readings'), entity=[]) }}
