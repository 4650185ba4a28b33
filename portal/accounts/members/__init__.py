"""Who belongs to an account, and with which role. For portal.accounts only.

add_member.py  a new person in the account, with a role
"""
