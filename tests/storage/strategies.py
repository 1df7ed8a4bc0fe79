"""Hypothesis strategies for values that rows hold."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
lists = st.lists(texts, max_size=3).map(tuple)
instants = st.integers(0, 7000 * 365 * 86_400 * 1_000_000).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
spans = st.timedeltas(timedelta(0), timedelta(days=365))
ports = st.integers(1, 65535)
networks = st.sampled_from(
    [ip_network(text) for text in ("203.0.113.7/32", "198.51.100.0/24", "2001:db8::/64")]
)
