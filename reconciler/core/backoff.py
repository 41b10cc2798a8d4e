"""How long to wait before a retry."""

BASE_S = 1.0
CAP_S = 60.0


def delay_s(attempt: int, fraction: float, *, base_s: float = BASE_S, cap_s: float = CAP_S) -> float:
    """Wait before retry number *attempt*, with full jitter.

    Args:
        attempt: 1 for the first retry.
        fraction: a random number, 0 <= fraction < 1.
        base_s: upper bound of the first delay, seconds, > 0.
        cap_s: upper bound of every delay, seconds.

    Returns:
        Seconds, fraction * min(cap_s, base_s * 2**(attempt - 1)).

    Raises:
        ValueError: attempt < 1.

    Source:
        AWS Architecture Blog, "Exponential Backoff And Jitter", 2015.
    """
    if attempt < 1:
        message = f"attempt counts from 1, got {attempt}"
        raise ValueError(message)
    # Beyond 2**30 every bound is the cap; the exponent is held so that the power stays a small number.
    return fraction * min(cap_s, base_s * float(2 ** min(attempt - 1, 30)))
