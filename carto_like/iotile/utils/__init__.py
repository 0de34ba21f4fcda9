"""Slugs, conversions and the base of scripts, under the names scripts know."""
