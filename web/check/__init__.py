"""/check and its variants: parses, calls portal.check.Checker, renders. No rule of the check is here.

protocol       a connection: plain check requests without ASGI, pipelined; everything else goes on to uvicorn
routes         the same paths over ASGI, for what the protocol does not take
handler        from a path, a token and a body to a reply, whichever way they came
replies        statuses, rate-limit headers and bodies
"""
