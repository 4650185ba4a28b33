"""The first page: today, the quota, what needs a look."""
