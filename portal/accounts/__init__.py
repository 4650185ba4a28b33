"""People, accounts (the tenant), memberships with roles, sessions, personal and service tokens.

Owns `people`, `accounts`, `memberships`, `sessions`, `sent_forms`, `personal_tokens`, `service_tokens`. Emits
`PolicyChanged` through `bump_policy_version`, which every verb calls that changes what a key may do. Every token is 256
random bits, shown once and stored as SHA-256. Never sends mail, never renders.

    identity/  people and their passwords     members/  who belongs to an account, with which role
    sessions/  signed-in browsers, their forms  tokens/  personal and service tokens
    authenticate.py  credential_status.py     from a session or token to an actor; whether it is still valid
    policy_version.py                         what every verb calls that changes what a key may do
    purge_expired.py                          deletes what nobody can use any more
    rules.py  models.py  store.py             what is valid; the tables; statements on people, accounts, memberships
"""

from portal.accounts.authenticate import AuthenticatedPerson, authenticate_session, authenticate_token
from portal.accounts.credential_status import CredentialStatus, load_credential_status
from portal.accounts.identity import CreatedUser, NewAccount, create_user, hash_new_password, sign_up
from portal.accounts.members import NewMember, add_member
from portal.accounts.models import Account, Membership, Person, PersonalToken, ServiceToken, Session
from portal.accounts.policy_version import PolicyChanged, bump_policy_version, suspend_again
from portal.accounts.purge_expired import PURGE_BATCH_SIZE, purge_expired
from portal.accounts.rules import MAX_SESSION_AGE, device_name, token_digest
from portal.accounts.sessions import (
    MAX_DEVICE_AGE_DAYS,
    Credentials,
    FormAlreadySent,
    FormSeal,
    SignedIn,
    SignInThrottle,
    Throttle,
    count_sessions,
    find_own_session,
    find_secret,
    forget_secret,
    keep_secret,
    leave_page_note,
    list_sessions,
    open_seal,
    open_session,
    release_form,
    revoke_other_sessions,
    revoke_session,
    seal_of,
    sign_in,
    sign_out,
    switch_account,
    take_form,
    take_page_note,
)
from portal.accounts.store import (
    Member,
    count_members,
    find_account,
    find_membership,
    find_person,
    get_account,
    list_accounts,
    list_members,
    list_members_by_id,
    list_memberships,
    list_own_memberships,
    list_policy_versions,
    lock_policy_version,
)
from portal.accounts.tokens import (
    CreatedServiceToken,
    ServiceTokenRevoked,
    authenticate_service,
    count_personal_tokens,
    count_service_tokens,
    create_personal_token,
    create_service_token,
    find_own_token,
    find_service_token_by_id,
    list_personal_tokens,
    list_service_tokens,
    revoke_personal_token,
    revoke_service_token,
)

__all__ = [
    "MAX_DEVICE_AGE_DAYS",
    "MAX_SESSION_AGE",
    "PURGE_BATCH_SIZE",
    "Account",
    "AuthenticatedPerson",
    "CreatedServiceToken",
    "CreatedUser",
    "CredentialStatus",
    "Credentials",
    "FormAlreadySent",
    "FormSeal",
    "Member",
    "Membership",
    "NewAccount",
    "NewMember",
    "Person",
    "PersonalToken",
    "PolicyChanged",
    "ServiceToken",
    "ServiceTokenRevoked",
    "Session",
    "SignInThrottle",
    "SignedIn",
    "Throttle",
    "add_member",
    "authenticate_service",
    "authenticate_session",
    "authenticate_token",
    "bump_policy_version",
    "count_members",
    "count_personal_tokens",
    "count_service_tokens",
    "count_sessions",
    "create_personal_token",
    "create_service_token",
    "create_user",
    "device_name",
    "find_account",
    "find_membership",
    "find_own_session",
    "find_own_token",
    "find_person",
    "find_secret",
    "find_service_token_by_id",
    "forget_secret",
    "get_account",
    "hash_new_password",
    "keep_secret",
    "leave_page_note",
    "list_accounts",
    "list_members",
    "list_members_by_id",
    "list_memberships",
    "list_own_memberships",
    "list_personal_tokens",
    "list_policy_versions",
    "list_service_tokens",
    "list_sessions",
    "load_credential_status",
    "lock_policy_version",
    "open_seal",
    "open_session",
    "purge_expired",
    "release_form",
    "revoke_other_sessions",
    "revoke_personal_token",
    "revoke_service_token",
    "revoke_session",
    "seal_of",
    "sign_in",
    "sign_out",
    "sign_up",
    "suspend_again",
    "switch_account",
    "take_form",
    "take_page_note",
    "token_digest",
]
