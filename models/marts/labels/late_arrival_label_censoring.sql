{{ martfeast.label_censoring(ref('late_arrival_labels')) }}
