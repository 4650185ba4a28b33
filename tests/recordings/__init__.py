"""Black-box recordings of the product: what outsiders see, as normalised text, to compare two commits.

Nothing here imports the product. It starts the `portal` command, speaks to it by sockets, commands and SQL, and writes
what came back; so it survives every rename inside, and a difference is a difference that somebody outside could see.
README.md beside this file says how to use it.
"""
