"""Pure array maths without I/O. Fast routines have a naive twin in the tests."""
