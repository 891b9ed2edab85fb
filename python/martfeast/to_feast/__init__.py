"""From a declaration to Feast's objects, and the feature repos that hold them."""
