"""What the routes of datasets and accounts have in common: who asks, what is asked, how it is said."""
