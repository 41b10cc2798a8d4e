"""A running daemon and its windows: which of them count, from when on, and that it goes on by itself."""

FREEZE = '[[policy.windows]]\nname = "freeze"\nkind = "deny"\ncron = "* * * * *"\nduration = "1m"\n'


def configure(site, windows):
    """Write the configuration with these windows, and have it read."""
    site.configure()
    with (site.root / "reconciler.toml").open("a") as file:
        file.write(f"\n{windows}")
    if site.daemons:
        site.daemons[-1].reload()


def test_window_of_a_new_configuration_holds_and_one_that_is_gone_lets_go(site):
    site.started_with("shop")
    configure(site, FREEZE)
    site.daemons[-1].says("the configuration was read anew")
    site.throttle("shop", to=4000)
    site.comes_to("blocked")
    said = site.store.states()["shop"]
    assert (said.reason.startswith("window freeze denies calls for 1m"), site.sent) == (True, [])
    configure(site, "")
    site.calls(1)
    site.settles()


def test_window_that_cannot_be_is_refused_and_the_old_configuration_stays(site):
    configure(site, FREEZE)
    daemon = site.started_with("shop")
    configure(site, FREEZE.replace("* * * * *", "* 25 * * *"))
    daemon.says("the new configuration is refused")
    site.throttle("shop", to=4000)
    site.comes_to("blocked")


def test_window_of_task_json_counts_with_the_next_edit(site):
    site.started_with("shop", "mail")
    site.edit("task", "shop", windows=[{"kind": "deny", "cron": "* * * * *", "duration": "1m"}])
    site.throttle("shop", "mail", to=4000)
    site.calls(1)
    site.comes_to("blocked")
    site.edit("task", "shop", windows=[])
    site.calls(2)
