"""`catalog settings`: what --set takes."""

from catalog.cli.conversion import Command
from catalog.cli.options import Format, FormatOption, new_app
from catalog.cli.output import print_rows
from catalog.query.rows import Rows
from catalog.settings import SETTINGS

app = new_app()


@app.command(cls=Command)
def settings(form: FormatOption = Format.TABLE) -> None:
    """List the settings that --set takes.

    Lists are written with commas: --set config_sections=model,data.
    """
    rows = [
        (
            setting.name,
            ",".join(setting.default) if isinstance(setting.default, tuple) else setting.default,
            setting.help,
        )
        for setting in SETTINGS
    ]
    print_rows(Rows(("name", "default", "help"), rows), form)
