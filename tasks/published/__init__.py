"""The data sets of the published comparisons: a YAML card each, rows from a local folder or the hub."""
