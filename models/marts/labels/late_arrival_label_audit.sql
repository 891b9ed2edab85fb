{{ martfeast.label_audit(ref('late_arrival_labels')) }}
