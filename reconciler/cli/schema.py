"""`reconciler schema`: the JSON Schemas, for editors and other programs."""

from pathlib import Path

import click


@click.command()
@click.argument("name", required=False)
@click.option(
    "--all", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write all of them to a folder."
)
def schema(name: str | None, folder: Path | None) -> int:
    """Print a JSON Schema, or list them.

    NAME is one of task, reset, coordinator, condition, source, sink, reconciler (the configuration file) and plan (what
    plan --format json writes). Without it the names are listed. --all writes NAME.schema.json files, for the $schema
    of a configuration repository.
    """
    from reconciler import resources

    names = resources.schema_names()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for each in names:
            (folder / f"{each}{resources.SUFFIX}").write_text(resources.schema_text(each), encoding="utf-8")
        click.echo(f"{len(names)} schemas written to {folder}", err=True)
        return 0
    if name is None:
        click.echo("\n".join(names))
        return 0
    if name not in names:
        raise click.UsageError(f'no schema "{name}"; there are: {", ".join(names)}')
    click.echo(resources.schema_text(name), nl=False)
    return 0
