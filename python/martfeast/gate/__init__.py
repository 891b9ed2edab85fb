"""May it be applied? Criteria, and the evidence they are judged by."""
