"""Did it know the future? Marts built again as of past moments."""
