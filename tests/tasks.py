"""A valid task to vary, for tests of everything that reads one."""

import json

from reconciler import resources
from reconciler.core.validation.validator import DOCUMENTS, Examined, Validator
from reconciler.model import RawTask, Severity

NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"
STORE = "com.oceanbase.oms.connector.source.store.MultiStoreSourceBooster"
DATAFLOW = "com.oceanbase.oms.connector.source.dataflow.DataFlowSourceBooster"
JDBC = "com.oceanbase.oms.connector.jdbc.sink.oboracle.OBOracleJDBCSinkBooster"

DOCUMENTS_OF_A_TASK = {
    "task": {"dimension": "NAME", "key": NAME, "cmRegion": "default"},
    "coordinator": {
        "sourceType": "MYSQL",
        "connectorJvmParam": "-server -Xms16g -Xmx16g -Xmn12g",
        "throttleRps": "20000",
    },
    "condition": {
        "whiteCondition": [
            {"name": "shop", "all": False, "sub": [{"name": "orders"}, {"name": "item_*", "func": "fn"}]}
        ]
    },
    "source": {
        "boosterClass": STORE,
        "dbType": "MYSQL",
        "clients": [{"clientId": "c-1-0"}],
        "password": "${env:SOURCE}",
    },
    "sink": {
        "boosterClass": JDBC,
        "jdbcUrl": "jdbc:oceanbase://10.0.0.21:2883?useUnicode=true",
        "password": "${file:/run/p}",
        "workerNum": "16",
    },
}
RESET = {"request": "r1", "id": "np_4x9jabcd", "startTimestamp": "2026-11-20T00:00:00Z", "reason": "lost logs"}
ROLE = {"project": "np_4x9jabcd", "link": "reverse", "index": 1}

VALIDATOR = Validator(resources.catalogue(), {name: resources.schema(name) for name in DOCUMENTS})


def files(**changes):
    """The files of a valid task; a document is laid over the one there is, bytes replace it, None takes it away."""
    result = {f"{name}.json": json.dumps(content).encode() for name, content in DOCUMENTS_OF_A_TASK.items()}
    for name, change in changes.items():
        if change is None:
            del result[f"{name}.json"]
        elif isinstance(change, bytes):
            result[f"{name}.json"] = change
        else:
            result[f"{name}.json"] = json.dumps(DOCUMENTS_OF_A_TASK.get(name, {}) | change).encode()
    return result


def examine(validator=VALIDATOR, **changes) -> Examined:
    return validator.examine(RawTask("shop", files(**changes)))


def only(examined):
    """The one violation."""
    (violation,) = examined.violations
    return violation


def errors(examined):
    """`{(rule, file, pointer), ...}` of the errors."""
    return {(v.rule, v.file, v.pointer) for v in examined.violations if v.severity is Severity.ERROR}


def warnings(examined):
    """`{(rule, file, pointer), ...}` of the warnings."""
    return {(v.rule, v.file, v.pointer) for v in examined.violations if v.severity is Severity.WARNING}
