"""`portal doctor`: one check a subject, each with how to mend what it finds."""
