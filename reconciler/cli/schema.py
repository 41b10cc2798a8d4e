"""`reconciler schema`: the JSON Schemas, for editors and other programs."""

import click


@click.command()
@click.argument("name", required=False)
def schema(name: str | None) -> int:
    """Print a JSON Schema, or list them.

    NAME is one of task, reset, coordinator, condition, source, sink, reconciler (the configuration file) and plan (what
    plan --format json writes). Without it the names are listed.
    """
    from reconciler import resources

    names = resources.schema_names()
    if name is None:
        click.echo("\n".join(names))
        return 0
    if name not in names:
        raise click.UsageError(f'no schema "{name}"; there are: {", ".join(names)}')
    click.echo(resources.schema_text(name), nl=False)
    return 0
