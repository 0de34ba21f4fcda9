"""Files from anywhere become tables: fetching, confined reading, loading."""
