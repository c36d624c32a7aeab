"""Files that are read whole: how long they may be."""

from pathlib import Path

import pytest

from ltsm import regular


@pytest.mark.parametrize(("memory", "most"), [(2_000, 1_000), (2_001, 1_000), (10**9, 5_000)])
def test_a_file_as_long_as_the_limit_is_read_and_a_byte_more_is_not(tmp_path, monkeypatch, memory, most):
    """The limit is what the caller allows, or half of the memory."""
    monkeypatch.setattr(regular, "_memory", lambda: memory)
    path = tmp_path / "file"
    path.write_bytes(bytes(most))
    assert len(regular.read(path, 5_000)) == most
    path.write_bytes(bytes(most + 1))
    with pytest.raises(OSError, match=f"its {most + 1:,} bytes are more than the {most:,} that are read"):
        regular.read(path, 5_000)


def test_the_memory_is_this_machines():
    try:
        (line,) = [x for x in Path("/proc/meminfo").read_text().splitlines() if x.startswith("MemTotal:")]
    except OSError:
        pytest.skip("only Linux says so in a file")
    assert regular._memory() == pytest.approx(1024 * int(line.split()[1]), rel=0.1)


def test_where_the_memory_is_not_known_the_stated_limit_holds(monkeypatch):
    """On Windows. The test stands in for it."""
    monkeypatch.delattr(regular.os, "sysconf")
    regular.refuse_size(regular.LARGEST)
    with pytest.raises(OSError, match="8,589,934,593 bytes are more than the 8,589,934,592"):
        regular.refuse_size(regular.LARGEST + 1)


def test_a_circle_of_links_is_replaced_by_nothing(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match=r"symbolic links|not a file"):
        regular.replaceable(tmp_path / "a")


def test_a_link_is_no_hindrance_and_leads_to_what_is_replaced(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "not there yet")
    assert regular.replaceable(tmp_path / "link") == (tmp_path / "not there yet").resolve()
