"""The platform: a server that speaks CARTO's REST APIs on PostgreSQL and PostGIS."""
