"""People, accounts (the tenant), memberships with roles, sessions, personal and service tokens.

Owns `people`, `accounts`, `memberships`, `sessions`, `personal_tokens`, `service_tokens`. Emits `PolicyChanged`
through `bump_policy_version`, which every verb calls that changes what a key may do. Every token is 256 random bits,
shown once and stored as SHA-256. Never sends mail, never renders.
"""

from portal.accounts.add_member import NewMember, add_member
from portal.accounts.attempts import SignInAttempts
from portal.accounts.authenticate import AuthenticatedPerson, authenticate_session, authenticate_token
from portal.accounts.authenticate_service import authenticate_service
from portal.accounts.create_personal_token import CreatedToken, create_personal_token
from portal.accounts.create_service_token import create_service_token
from portal.accounts.create_user import CreatedUser, create_user
from portal.accounts.models import Account, Membership, Person, PersonalToken, ServiceToken, Session
from portal.accounts.policy_version import bump_policy_version
from portal.accounts.rules import token_digest
from portal.accounts.sign_in import SignedIn, sign_in
from portal.accounts.sign_out import sign_out
from portal.accounts.sign_up import NewAccount, sign_up
from portal.accounts.standing import standing_of
from portal.accounts.store import (
    find_account,
    find_person,
    get_account,
    list_memberships,
    list_policy_versions,
)

__all__ = [
    "Account",
    "AuthenticatedPerson",
    "CreatedToken",
    "CreatedUser",
    "Membership",
    "NewAccount",
    "NewMember",
    "Person",
    "PersonalToken",
    "ServiceToken",
    "Session",
    "SignInAttempts",
    "SignedIn",
    "add_member",
    "authenticate_service",
    "authenticate_session",
    "authenticate_token",
    "bump_policy_version",
    "create_personal_token",
    "create_service_token",
    "create_user",
    "find_account",
    "find_person",
    "get_account",
    "list_memberships",
    "list_policy_versions",
    "sign_in",
    "sign_out",
    "sign_up",
    "standing_of",
    "token_digest",
]
