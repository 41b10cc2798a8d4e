"""What a component's name tells: the project it belongs to and its place in it.

OMS writes `10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006`: host and port of the supervisor, the
connector framework, project, stage, number of the sub-task, index of the shard, task id. No page promises that form and
the host part changes when a component moves, so a name of any other form is opaque: it is never rejected here, it
only tells nothing. The direction of a link cannot be read from a name at all.
"""

import re

_TASK = re.compile(r"(?P<project>np_.+)-(?:incr_trans|full_trans)-(?P<sub>[0-9]{1,9})-(?P<index>[0-9]{1,9})")
_PARTS = 4  # host, framework, task, id


def project_of(component_name: str) -> str | None:
    """Id of the project that a component belongs to.

    Args:
        component_name: full name, as `DescribeProjectComponents` lists it.

    Returns:
        `np_4x9jabcd`; None when the name has another form.

    Source:
        Sample names of https://en.oceanbase.com/docs/community-oms-en-10000000001080575 (UpdateIncrSync).
    """
    found = _task_of(component_name)
    return found["project"] if found else None


def position_of(name: str) -> tuple[int, int] | None:
    """Number of the sub-task and index of the shard, to tell the components of one link apart.

    Args:
        name: full name of a component.

    Returns:
        `(1, 0)` for `…-incr_trans-1-0:…`; None when the name has another form.
    """
    found = _task_of(name)
    return (int(found["sub"]), int(found["index"])) if found else None


def lasting_part(name: str) -> str:
    """What of a component's name stays when it moves to another host.

    Args:
        name: full name of a component.

    Returns:
        `np_4x9jabcd-incr_trans-1-0`; the whole name when it has another form.
    """
    found = _task_of(name)
    return found.group() if found else name


def _task_of(name: str) -> re.Match[str] | None:
    # From the right, because the host of an IPv6 installation holds colons itself.
    parts = name.rsplit(":", _PARTS - 1)
    return _TASK.fullmatch(parts[2]) if len(parts) == _PARTS else None
