"""Many kept files are read at once, and each is believed as if it were read alone."""

from __future__ import annotations

from blocks.key_folder.kept_files import kept_path, read_all_kept, write_kept


def test_of_many_files_those_that_cannot_be_trusted_are_left_out() -> None:
    """One that was moved, cut short or opened to others is not there; the others are."""
    for name in ("good", "cut", "moved", "open"):
        write_kept("facts", name, {"of": name}, what="a test")
    kept_path("facts", "cut").write_bytes(b"x")
    kept_path("facts", "moved").rename(kept_path("facts", "elsewhere"))
    kept_path("facts", "open").chmod(0o666)
    names = ["cut", "absent", "elsewhere", "open", "good"]
    assert list(read_all_kept("facts", names, what="a test")) == [("good", {"of": "good"})]
