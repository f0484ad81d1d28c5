"""Its place makes `support` importable from all tests."""
