"""Running clients' SQL and turning its results into the formats of the SQL API."""
