"""The web console, a process of its own (`answerable console run`): pages for those who answer for groups.

  app.py        the server: which page answers an address
  guard.py      which requests are answered, and the headers of every answer
  sessions.py   who is behind a cookie
  rights.py     what they may see now
  reading.py    the reason for reading what people wrote, and the note of it
  visit.py       one request, and what a page can ask of it
  render.py     templates, words and escaping
  pages/        a file a subject; each states its `ROUTES`

Rules kept by all of these:
- The data directory is only read, except for notes of who read what (`spool/`) and operators' sessions (`console/`).
- Whatever changes something is asked of the running bot.
- No access token and no key is read.
"""
