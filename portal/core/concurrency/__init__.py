"""What every loop and callback needs: waiting for one, running it beside others, running it again.

- `waiting` turns a callback into something to await; `single_flight` lets one look-up serve all who ask meanwhile.
- `background_tasks` holds tasks until they end; `worker_loop` runs work every so often, paces it when it fails, and
  notes how its rounds fare.
"""
