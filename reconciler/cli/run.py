"""`reconciler run`: the daemon."""

import click

from reconciler.cli.common import Session, pass_session


@click.command()
@pass_session
def run(session: Session) -> int:
    """Keep the components equal to the files, until a signal ends it.

    Watches the desired state, plans what changed, sends it, and waits until the components are seen healthy. SIGTERM
    ends it when calls under way are written down, SIGHUP reads the configuration anew, SIGUSR1 looks at everything.

    Exit code: 0 ended by a signal; 3 another process may call OMS; 64 the configuration is wrong; 1 else.
    """
    from reconciler import service

    service.run(session.settings)
    return 0
