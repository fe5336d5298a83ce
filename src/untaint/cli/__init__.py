"""The command line: arguments in, exit codes out, progress on stderr; one file per verb, no logic."""
