"""A look at whether the commits that change a table wait for the disk."""

from collections.abc import Callable
from typing import Any


def watch_durability(db: Any, table: str) -> Callable[[], set[str]]:
    """Note `synchronous_commit` of each change of a table from now on; return what tells it."""
    db.execute(f"""
        CREATE TABLE public.durability (setting text);
        CREATE FUNCTION public.noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO public.durability VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
        CREATE TRIGGER noted AFTER INSERT OR UPDATE ON answerable_shared.{table}
            FOR EACH ROW EXECUTE FUNCTION public.noted()
    """)
    return lambda: {setting for (setting,) in db.execute("SELECT setting FROM public.durability")}
