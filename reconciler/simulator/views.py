"""What the reading actions show of a world; never a configuration.

Source:
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000001792132 (components),
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913060 (progress),
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913058 (regions). Names of the lists other than the
    stores' follow the vendor's cloud edition, https://help.aliyun.com/document_detail/2508698.html.
"""

from datetime import UTC, datetime

from reconciler.model import JsonObject, Link
from reconciler.simulator.components import Component, ComponentStatus, Project, ip_of
from reconciler.simulator.world import World

TPS = 120  # records per second of a running component that keeps up


def utc(at: float) -> str:
    """Unix seconds as the API writes them: `2026-11-20T00:00:00`, UTC without a zone."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%S")


def components(world: World, project: Project) -> JsonObject:
    """`data` of DescribeProjectComponents."""
    links = {link: list(world.of_project(project.id, link)) for link in Link}
    forward, reverse = links[Link.FORWARD], links[Link.REVERSE]
    return {
        "storeList": [_store(world, each) for each in forward[:1]],
        "reverseStoreList": [_store(world, each) for each in reverse[:1]],
        "incrSyncComponents": [_incr_sync(world, each) for each in forward],
        "reverseIncrSyncComponents": [_incr_sync(world, each) for each in reverse],
        "fullImportComponents": [_full_import(project, each) for each in forward[:1]],
        "fullVerifyComponents": [_full_verify(each) for each in forward[:1]],
    }


def progress(world: World, project: Project) -> JsonObject:
    """`data` of DescribeProjectProgress; a link without components has no checkpoint."""
    positions = {
        link: min((int(each.sampled) for each in world.of_project(project.id, link)), default=None) for link in Link
    }
    return {
        "projectId": project.id,
        "status": project.status,
        "alarmLevel": "HIGH",
        "enableIncrSync": positions[Link.FORWARD] is not None,
        "currentStep": "INCR_TRANSFER",
        "incrSyncCheckpoint": project.checkpoint_text or positions[Link.FORWARD],
        "enableStructTransfer": True,
        "enableFullTransfer": True,
        "structTransferProgress": 100,
        "fullTransferProgress": 100,
        "enableReverseIncrTransfer": positions[Link.REVERSE] is not None,
        "reverseIncrTransferCheckpoint": positions[Link.REVERSE],
    }


def regions(world: World) -> list[JsonObject]:
    """`data` of DescribeRegions."""
    return [
        {
            "id": str(location),
            "region": region,
            "regionCn": region,
            "cmUrl": f"http://127.0.0.1:{8088 + location}",
            "code": region,
            "groupName": "default",
            "gmtCreate": utc(0),
            "gmtModified": utc(0),
        }
        for location, region in enumerate(world.regions())
    ]


def _incr_sync(world: World, component: Component) -> JsonObject:
    behind = max(0, int(world.now - component.sampled))
    running = component.status is ComponentStatus.RUNNING
    catching_up = behind > world.timing.lag_s + 1
    return {
        "region": component.region,
        "name": component.name,
        "ip": ip_of(component.name),
        "identity": component.project,
        "subtopics": [_subtopic(component)],
        "status": component.status.value,
        "checkpoint": utc(component.sampled),
        "tps": TPS * (int(world.timing.catch_up) if catching_up else 1) if running else 0,
        "delay": behind,
        "checkpointSampleTimestamp": int(component.sampled_at),
        "gmtCreate": utc(component.created),
        "gmtModify": utc(component.modified),
        "errorDetails": list(component.errors),
    }


def _store(world: World, component: Component) -> JsonObject:
    return {
        "name": f"{ip_of(component.name)}-7100:{_subtopic(component)}:0000000001",
        "ip": ip_of(component.name),
        "region": component.region,
        "topic": _subtopic(component).rsplit("-", 2)[0],
        "subtopic": _subtopic(component),
        "tps": TPS,
        "delay": 1,
        "gmt": int(world.now),
        "conn": 1,
        "status": "ACTIVE",
        "errorDetails": [],
        "toSwitch": False,
        "port": 9000,
        "storePort": 7100,
        "beginCheckpoint": str(int(component.created)),
        "endCheckpoint": str(int(world.now)),
        "errMsg": "",
        "gmtCreate": utc(component.created),
        "gmtModified": utc(component.modified),
        "latelyHeartbeatTimeSec": int(world.now),
    }


def _full_import(project: Project, component: Component) -> JsonObject:
    return {
        "region": component.region,
        "name": component.name.replace("incr_trans", "full_trans"),
        "ip": ip_of(component.name),
        "identity": project.id,
        "progress": 100,
        "status": "FINISHED",
        "gmtCreate": utc(project.created),
        "gmtModify": utc(project.created),
        "errorDetails": [],
    }


def _full_verify(component: Component) -> JsonObject:
    return {
        "region": component.region,
        "name": f"{ip_of(component.name)}-9000:90247:0000000033",
        "ip": ip_of(component.name),
        "taskId": 90247,
        "inconsistentQuantity": 0,
        "consistentQuantity": 12,
        "progress": "100",
        "recordProgress": 100,
        "status": "DONE",
        "errorDetails": [],
    }


def _subtopic(component: Component) -> str:
    suffix = "_reverse" if component.link is Link.REVERSE else ""
    return f"MYSQL_{component.project}{suffix}-1-0"
