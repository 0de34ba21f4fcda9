"""How the process that writes a file tells the outcome: files in its folder, and its exit code."""

FOLDER_PREFIX = "carto-like-export-"
"""What the name of a folder for one export begins with; the process works nowhere else, as it empties it."""
RESULT = "result"
REFUSAL = "refusal"
LOG = "log"
REFUSED = 3
