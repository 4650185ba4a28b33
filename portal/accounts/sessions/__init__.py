"""Sessions of browsers. For portal.accounts only.

sign_in.py, sign_in_throttle.py              e-mail and password, slowed down for who guesses
devices.py                                   who has signed in before keeps a wait of their own
sign_out.py                                  the session ends at once
switch_account.py                            the account that a session acts in
revoke_session.py, revoke_other_sessions.py  end others
store.py                                     their statements
"""

from portal.accounts.sessions.devices import MAX_DEVICE_AGE_DAYS
from portal.accounts.sessions.page_notes import leave_page_note, take_page_note
from portal.accounts.sessions.revoke_other_sessions import revoke_other_sessions
from portal.accounts.sessions.revoke_session import revoke_session
from portal.accounts.sessions.sent_forms import (
    FormAlreadySent,
    FormSeal,
    find_secret,
    forget_secret,
    keep_secret,
    open_seal,
    purge_secrets,
    release_form,
    seal_of,
    take_form,
)
from portal.accounts.sessions.sign_in import Credentials, SignedIn, Throttle, open_session, sign_in
from portal.accounts.sessions.sign_in_throttle import SignInThrottle
from portal.accounts.sessions.sign_out import sign_out
from portal.accounts.sessions.store import (
    count_sessions,
    delete_expired_sessions,
    find_own_session,
    find_session,
    list_sessions,
    list_standing,
    update_session_seen,
)
from portal.accounts.sessions.switch_account import switch_account

__all__ = [
    "MAX_DEVICE_AGE_DAYS",
    "Credentials",
    "FormAlreadySent",
    "FormSeal",
    "SignInThrottle",
    "SignedIn",
    "Throttle",
    "count_sessions",
    "delete_expired_sessions",
    "find_own_session",
    "find_secret",
    "find_session",
    "forget_secret",
    "keep_secret",
    "leave_page_note",
    "list_sessions",
    "list_standing",
    "open_seal",
    "open_session",
    "purge_secrets",
    "release_form",
    "revoke_other_sessions",
    "revoke_session",
    "seal_of",
    "sign_in",
    "sign_out",
    "switch_account",
    "take_form",
    "take_page_note",
    "update_session_seen",
]
