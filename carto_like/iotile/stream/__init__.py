"""Stream data and reports, under the names scripts know."""
