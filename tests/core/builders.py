"""Values that the tests of the core share: one whole task, and what became of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from reconciler import resources
from reconciler.core import canonical, resets
from reconciler.core.desired import Desired, prepare
from reconciler.core.fleet import assemble
from reconciler.core.plan import Base, after, invalid, orphaned, plan_task
from reconciler.core.policy import NewTasks, Policy, Surroundings
from reconciler.errors import SecretError
from reconciler.model import (
    SECTIONS,
    Action,
    Address,
    Condition,
    Dimension,
    Item,
    JsonObject,
    Place,
    Plan,
    Record,
    ResetRequest,
    Sections,
    Severity,
    Snapshot,
    Suspension,
    Task,
    Violation,
)

CATALOGUE = resources.catalogue()
KEY = b"k" * 32
OTHER_KEY = b"o" * 32
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NAME = "10.0.0.1-9000:connector_v2:np_4x9j00000001-incr_trans-1-0:0000000006"
SENTINEL = "S3nt1nel-p4ssword"
SECRETS = {"SINK": SENTINEL, "STORE": "store-" + SENTINEL, "OTHER": "other-" + SENTINEL, "SAME": SENTINEL}

CLIENT = {"clientId": "MYSQL_np_a_b-1-0", "subtopic": "MYSQL_np_a_b-1-0", "clusterManagerUrl": "http://10.0.0.11:8088"}
WHOLE: Mapping[str, JsonObject] = {
    "coordinator": {
        "taskIdentity": "id-1",
        "sourceType": "MYSQL",
        "sinkType": "OB_MYSQL",
        "throttleRps": "20000",
    },
    "condition": {
        "whiteCondition": [{"name": "shop", "all": False, "sub": [{"name": "orders"}, {"name": "customer"}]}]
    },
    "source": {
        "boosterClass": "com.oceanbase.oms.connector.source.store.MultiStoreSourceBooster",
        "jar": "connector-source-store.jar",
        "dbType": "MYSQL",
        "clients": [CLIENT],
        "username": "oms_store",
        "password": "${env:STORE}",
        "checkpoint": "${oms:checkpoint}",
    },
    "sink": {
        "boosterClass": "com.oceanbase.oms.connector.jdbc.sink.obmysql.OBMySQLJDBCSinkBooster",
        "jar": "jdbc-sink-ob-mysql.jar",
        "jdbcUrl": "jdbc:oceanbase://10.0.0.21:2883?useUnicode=true",
        "username": "shop_oms@shop#obprod",
        "password": "${env:SINK}",
        "workerNum": "16",
    },
}
"""A payload that is complete."""

APPLY = Policy(new_tasks=NewTasks.APPLY)


def lookup(scheme: str, name: str) -> str:
    """The value of a reference, from SECRETS."""
    if name not in SECRETS:
        raise SecretError(f"${{{scheme}:{name}}} is not there")
    return SECRETS[name]


def few(**sections: JsonObject) -> Sections:
    """These sections, and the others empty."""
    return {section: sections.get(section, {}) for section in SECTIONS}


def whole(**sections: JsonObject) -> Sections:
    """The whole sample with these keys laid over it; a key that is `...` is left out."""
    merged = {section: {**WHOLE[section], **sections.get(section, {})} for section in SECTIONS}
    return {s: {key: value for key, value in content.items() if value is not ...} for s, content in merged.items()}


def task(sections: Sections | None = None, *, name: str = "shop/orders", **more: object) -> Task:
    """A valid task; its plug-ins are found as the validator finds them."""
    content = whole() if sections is None else sections
    made = Task(
        name=name,
        address=Address("default", Dimension.NAME, NAME if name == "shop/orders" else f"{NAME}-{name}"),
        cm_region="cn-1",
        allow_delete=False,
        sections=content,
        source_plugin=CATALOGUE.plugin("source", content["source"]),
        sink_plugin=CATALOGUE.plugin("sink", content["sink"]),
    )
    return replace(made, **more)


def ready(given: Task | Sections | None = None, *, key: bytes = KEY, **more: object) -> Desired:
    """A task, prepared."""
    made = replace(given, **more) if isinstance(given, Task) else task(given, **more)
    return prepare(made, CATALOGUE, lookup, key)


def record_of(desired: Desired, snapshot: Snapshot | None = None, **more: object) -> Record:
    """What the store knows after *snapshot* (the task's own content) was applied."""
    content = snapshot or desired.snapshot
    made = Record(
        address=desired.task.address.id,
        task=desired.task.name,
        serial=1,
        digest=content.digest,
        digest_version=canonical.VERSION,
        fingerprints=content.fingerprints,
        key_id=content.key_id,
        revision="sha256:0123456789ab",
        applied_at=NOW,
        condition=Condition.SYNCED,
        reason="",
        since=NOW,
        attempted=None,
        attempts=0,
        open_intents=0,
        ticket=4711,
        request_id="r-1",
    )
    return replace(made, **more)


def applied(given: Task | Sections | None = None, *, key: bytes = KEY, **more: object) -> Base:
    """An address that holds just this content; *more* are members of the record."""
    desired = ready(given, key=key)
    return Base(record_of(desired, **more), desired.snapshot)


def around(policy: Policy = APPLY, **more: object) -> Surroundings:
    """A Saturday noon without suspensions or trouble."""
    return Surroundings(now=NOW, policy=policy, **more)


def planned(
    given: Task | Sections | None = None,
    base: Base | None = None,
    *,
    policy: Policy = APPLY,
    key: bytes = KEY,
    **surroundings: object,
) -> Item:
    """The item of one task on a base; on nothing when there is none."""
    made = given if isinstance(given, Task) else task(given)
    found = around(policy, **surroundings)
    return plan_task(ready(made, key=key), base or Base(), found, CATALOGUE, key)


def carried_out(item: Item, desired: Desired, base: Base) -> Base:
    """The address after an accepted call or an adoption, as the store would keep it."""
    snapshot = desired.snapshot if item.action is Action.ADOPT else after(desired, base, item.action)
    serial = base.record.serial + 1 if base.record else 1
    return Base(record_of(desired, snapshot, serial=serial), snapshot)


def plan_of(*items: Item, frozen: str = "", policy: Policy = APPLY) -> Plan:
    """A plan of these items."""
    return assemble(items, "sha256:0123456789ab", policy, frozen)


def sample_items() -> list[Item]:
    """One item of most kinds, each of its own task."""
    before = whole(coordinator={"throttleRps": ..., "hotKeyMerge": "false"}, sink={"printSql": "true"})
    tables = [{"name": "orders", "map": "orders_v2"}, {"name": "invoice"}]
    now = whole(
        coordinator={"throttleRps": 5000, "hotKeyMerge": "false"},
        condition={"whiteCondition": [{"name": "shop", "all": False, "sub": tables}]},
        sink={"password": "${env:OTHER}", "workerNum": 32},
    )
    slower = whole(sink={"workerNum": "8"})
    wrong = Violation(
        "e/invalid",
        "e/invalid/sink.json",
        Place(4, 16),
        "/workerNum",
        "schema",
        Severity.ERROR,
        "an integer 1..1024",
        '"abc"',
        "Write a number.",
    )
    later = {"*": Suspension("migration", NOW + timedelta(hours=1))}

    def changed(name: str, to: Sections, base: Sections, **members: object) -> Item:
        return planned(task(to, name=name, **members), applied(task(base, name=name)))

    return [
        changed("a/update", now, before, allow=("/condition",)),
        changed("b/delete", whole(sink={"workerNum": ...}), whole(), allow_delete=True),
        planned(task(few(sink={"a": "1"}), name="c/new"), policy=Policy(new_tasks=NewTasks.HOLD)),
        changed("d/danger", whole(sink={"jdbcUrl": "jdbc:x"}), whole()),
        invalid("e/invalid", (wrong,)),
        changed("f/quiet", whole(), whole()),
        orphaned(record_of(ready(task(name="g/gone"))), moved=False),
        planned(task(slower, name="h/later"), applied(task(name="h/later")), suspensions=later),
        *filter(
            None,
            [
                resets.plan(
                    task(name="i/reset", reset=ResetRequest("r", "np_a", False, 1, "why", None, True)), None, around()
                )
            ],
        ),
        planned(task(few(sink={"a": "1"}), name="j/adopt"), policy=Policy(new_tasks=NewTasks.ADOPT)),
    ]
