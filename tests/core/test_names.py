import pytest

from reconciler.core.names import lasting_part, position_of, project_of

NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"


def test_project_stands_before_the_stage():
    assert project_of(NAME) == "np_4x9jabcd"


def test_position_is_sub_task_and_shard():
    assert position_of(NAME.replace("-1-0:", "-2-13:")) == (2, 13)


@pytest.mark.parametrize(
    ("name", "project"),
    [
        pytest.param(NAME.replace("incr_trans", "full_trans"), "np_4x9jabcd", id="full import"),
        pytest.param(NAME.replace("connector_v2", "connector_v3"), "np_4x9jabcd", id="another framework"),
        pytest.param(NAME.replace("10.0.0.1", "fe80::1"), "np_4x9jabcd", id="IPv6 host"),
        pytest.param(NAME.replace("10.0.0.1", "oms-host-1.example"), "np_4x9jabcd", id="host name with hyphens"),
        pytest.param(NAME.replace("np_4x9jabcd", "np_a-incr_trans-1-0"), "np_a-incr_trans-1-0", id="last stage counts"),
        pytest.param(NAME.replace("0000000006", "id-1"), "np_4x9jabcd", id="another id"),
    ],
)
def test_project_is_found_whatever_the_rest_is(name, project):
    assert project_of(name) == project


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("np_4x9jabcd", id="project alone"),
        pytest.param("np_4x9jabcd-incr_trans-1-0", id="task alone"),
        pytest.param("10.0.0.1-7100:ORACLE_np_a_b-1-0:0000000001", id="store"),
        pytest.param("10.0.0.1-9000:90247:0000000033", id="full verification"),
        pytest.param(NAME.replace("np_", "mp_"), id="no project id"),
        pytest.param(NAME.replace("incr_trans", "some_trans"), id="unknown stage"),
        pytest.param(NAME.replace("-1-0:", "-1:"), id="no shard"),
        pytest.param(NAME.replace("-1-0:", "-1-x:"), id="shard is no number"),
        pytest.param(NAME.replace("-1-0:", "-1-٣:"), id="digits of another script"),
        pytest.param(NAME.replace("-1-0:", "-1-0\n:"), id="line end"),
        pytest.param(NAME.replace("-1-0:", f"-1-{'9' * 5000}:"), id="absurd number"),
        pytest.param(f"{NAME}:more", id="five parts"),
    ],
)
def test_any_other_name_is_opaque(name):
    assert (project_of(name), position_of(name)) == (None, None)


def test_lasting_part_is_the_same_on_another_host():
    part = NAME.rsplit(":", 2)[1]
    assert lasting_part(NAME) == lasting_part(NAME.replace("10.0.0.1", "10.0.0.2")) == part


def test_lasting_part_of_an_opaque_name_is_the_whole():
    assert lasting_part("opaque") == "opaque"
