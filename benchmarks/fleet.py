"""Makes fleets of tasks to measure on: four files with 10 to 40 keys and 20 to 200 tables, as real ones have."""

import json
import random
from pathlib import Path

SINK = "com.oceanbase.oms.connector.jdbc.sink.obmysql.OBMySQLJDBCSinkBooster"
SOURCE = "com.oceanbase.oms.connector.source.store.MultiStoreSourceBooster"


def make(root: Path, tasks: int, seed: int = 1) -> None:
    """Write *tasks* task folders below *root*; the same seed gives the same bytes."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, nothing to protect
    for number in range(tasks):
        folder = root / f"team-{number % 50:02}" / f"task-{number:05}"
        folder.mkdir(parents=True)
        for name, document in documents(number, chance).items():
            (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def documents(number: int, chance: random.Random) -> dict[str, object]:
    """The five files of one task."""
    project = f"np_{number:012x}"
    tables = [{"name": f"table_{n}", "map": f"table_{n}"} for n in range(chance.randint(20, 200))]
    tuning = {f"tuning{n}": str(chance.randint(1, 1000)) for n in range(chance.randint(0, 20))}
    client = f"MYSQL_{project}-1-0"
    return {
        "task": {
            "dimension": "NAME",
            "key": f"10.0.0.1-9000:connector_v2:{project}-incr_trans-1-0:{number:010}",
            "cmRegion": "default",
        },
        "coordinator": {
            "sourceType": "MYSQL",
            "sinkType": "OB_MYSQL",
            "throttleRps": str(chance.randint(1000, 9999)),
            **tuning,
        },
        "condition": {"whiteCondition": [{"name": "shop", "map": "shop", "all": False, "sub": tables}]},
        "source": {
            "boosterClass": SOURCE,
            "jar": "connector-source-store.jar",
            "dbType": "MYSQL",
            "clients": [{"clientId": client, "subtopic": client, "clusterManagerUrl": "http://10.0.0.11:8088"}],
            "username": "oms_store",
            "password": "${env:BENCH_SECRET}",
            "splitThreshold": "128",
        },
        "sink": {
            "boosterClass": SINK,
            "jar": "jdbc-sink-ob-mysql.jar",
            "jdbcUrl": "jdbc:oceanbase://10.0.0.21:2883?useUnicode=true",
            "username": "shop_oms@shop#obprod",
            "password": "${env:BENCH_SECRET}",
            "workerNum": "16",
        },
    }
