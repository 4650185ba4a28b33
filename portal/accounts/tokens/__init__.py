"""Personal tokens (a person's, for GraphQL) and service tokens (a gateway's, for /check). For portal.accounts only.

create_personal_token.py, revoke_personal_token.py
create_service_token.py, revoke_service_token.py, authenticate_service.py
store.py  their statements
"""

from portal.accounts.tokens.authenticate_service import authenticate_service
from portal.accounts.tokens.create_personal_token import create_personal_token
from portal.accounts.tokens.create_service_token import CreatedServiceToken, create_service_token
from portal.accounts.tokens.revoke_personal_token import revoke_personal_token
from portal.accounts.tokens.revoke_service_token import ServiceTokenRevoked, revoke_service_token
from portal.accounts.tokens.store import (
    count_personal_tokens,
    count_service_tokens,
    delete_expired_tokens,
    find_own_token,
    find_personal_token,
    find_service_token_by_id,
    list_personal_tokens,
    list_service_tokens,
    update_token_used,
)

__all__ = [
    "CreatedServiceToken",
    "ServiceTokenRevoked",
    "authenticate_service",
    "count_personal_tokens",
    "count_service_tokens",
    "create_personal_token",
    "create_service_token",
    "delete_expired_tokens",
    "find_own_token",
    "find_personal_token",
    "find_service_token_by_id",
    "list_personal_tokens",
    "list_service_tokens",
    "revoke_personal_token",
    "revoke_service_token",
    "update_token_used",
]
