"""Personal tokens (a person's, for GraphQL) and service tokens (a gateway's, for /check). For portal.accounts only.

create_personal_token.py, revoke_personal_token.py
create_service_token.py, revoke_service_token.py, authenticate_service.py
store.py  their statements
"""
