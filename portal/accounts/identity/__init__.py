"""People: a new person with an account of their own, and their password. For portal.accounts only.

sign_up.py      a person and their first account, from the sign-up page
create_user.py  the same from the command line, or staff
passwords.py    Argon2id off the event loop
"""
