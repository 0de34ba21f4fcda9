"""Maps: configurations, templates, tiles and their SQL, without HTTP."""
