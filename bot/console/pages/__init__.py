"""The pages, a file a subject: each states its `ROUTES`, and `bot/console/app.py` finds them."""
