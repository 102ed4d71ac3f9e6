"""A tester of document registries and repositories: a plan of cases as data, its own client, its own reader."""
