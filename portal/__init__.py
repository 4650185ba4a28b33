"""The business of the portal, one folder a domain. A library: nothing starts here except through cli."""
