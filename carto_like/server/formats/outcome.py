"""How the process that writes a file tells the outcome: files in its folder, and its exit code."""

RESULT = "result"
REFUSAL = "refusal"
LOG = "log"
REFUSED = 3
