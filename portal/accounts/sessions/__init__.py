"""Sessions of browsers. For portal.accounts only.

sign_in.py, sign_in_throttle.py              e-mail and password, slowed down for who guesses
devices.py                                   who has signed in before keeps a wait of their own
sign_out.py                                  the session ends at once
switch_account.py                            the account that a session acts in
revoke_session.py, revoke_other_sessions.py  end others
store.py                                     their statements
"""
