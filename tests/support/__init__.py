"""What tests of several folders share: servers they start, cases they build."""
