"""People: a new person with an account of their own, and their password. For portal.accounts only.

sign_up.py      a person and their first account, from the sign-up page
create_user.py  the same from the command line, or staff
passwords.py    Argon2id off the event loop
"""

from portal.accounts.identity.create_user import CreatedUser, create_user
from portal.accounts.identity.passwords import is_password
from portal.accounts.identity.sign_up import NewAccount, hash_new_password, sign_up

__all__ = ["CreatedUser", "NewAccount", "create_user", "hash_new_password", "is_password", "sign_up"]
