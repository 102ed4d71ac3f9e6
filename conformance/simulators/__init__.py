"""Systems that the tester plays so that a product under test has somebody to talk to."""
