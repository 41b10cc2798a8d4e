"""What the adapter must know of one server; a value, so that it can be compared and handed to a worker."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """One `[targets.<name>]` of the configuration, as far as calls need it."""

    name: str
    url: str  # "https://oms.example:8089", perhaps with a path in front of /api/v2
    username: str
    password: str = field(repr=False)
    edition: str = "CE"  # CE | EE
    version: str = "4.2.5"
    ca_file: str = ""  # PEM; "" = the system's certificate authorities
    connect_s: float = 5.0  # for TCP and for TLS, each
    read_s: float = 60.0  # longest silence of the server, and longest time for the whole body
