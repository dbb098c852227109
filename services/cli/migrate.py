"""`tocsin migrate`: the tables of the database, brought to this version."""

from services.cli.options import CONFIG_FILE, ConfigFile, Overrides


def migrate(config: ConfigFile = CONFIG_FILE, set_: Overrides = None) -> None:
    """Brings the tables of the database to this version of Tocsin.

    Safe to run at any time and from several machines at once: one does it, the others wait. `tocsin run` does it by itself.
    """
    import typer

    from services.runtime.database import Database
    from services.runtime.settings import load

    database = Database(load(config, set_ or ()).database.url)
    try:
        before = database.revision()
        database.migrate()
        after = database.revision()
    finally:
        database.close()
    typer.echo(
        f"{database.shown} is at revision {after} already."
        if before == after
        else f"{database.shown} went from revision {before or 'none'} to {after}."
    )
