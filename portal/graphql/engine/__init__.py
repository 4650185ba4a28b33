"""How every operation is executed, whatever it asks for. For portal.graphql only; nothing is imported here.

prepare.py     from a request to an operation that may run, with
    validation.py  text to a bounded, parsed, validated document (cached)
    cost.py        how much work its fields are at most
    rate_limit.py  what the caller has left of it
execute.py     run a query or mutation in one transaction, with
    idempotency.py, models.py  a mutation that is sent again runs once
    loaders.py                 what many resolvers need is fetched together
    errors.py                  what of an error a caller sees: problems as data, the rest shown or masked
subscribe.py   run a subscription: each event as a query of its own
operation.py   what a request may say besides its document, what resolvers get, and the result
resolvers.py   the decorators of fields: description, requirement, savepoint
pagination.py, scalars.py  what the types of all domains share
"""
