"""Plans: the account's own and its quota, changing it, and all of them for staff. For portal.graphql only.

plan.py       the catalogue that an account sees, its plan, its quota
changes.py    what a change of plan would be, and the changes
catalogue.py  all plans and their versions, for staff
"""
