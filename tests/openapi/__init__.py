"""Tests of the command line, of the settings and of the server as a process."""
