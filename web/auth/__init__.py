"""Who asks, and whether the request comes from a page of ours.

identity      Visitor and Caller: types only
session       the session cookie, and the way to the sign-in page
authenticate  who calls the API: by personal token, else by cookie
csrf          no other site can make a browser act here

Nothing is imported here: web.services reaches identity by live_connections; all else here needs web.services.
"""
