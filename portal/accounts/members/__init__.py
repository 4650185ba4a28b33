"""Who belongs to an account, and with which role. For portal.accounts only.

add_member.py  a new person in the account, with a role
"""

from portal.accounts.members.add_member import NewMember, add_member

__all__ = ["NewMember", "add_member"]
