"""Reports, dashboards and the command line."""
