"""Ways of answering a text task with nothing tuned: the rows that every tuned one is measured against."""
