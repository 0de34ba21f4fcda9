"""Answers of the SQL API in formats other than JSON, GeoJSON and CSV."""
