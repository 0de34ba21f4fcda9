"""Work that outlives a request: a queue in PostgreSQL, and the workers that empty it."""
