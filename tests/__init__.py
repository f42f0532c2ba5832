"""unit: one room at a time · contract: the client against the sandbox · e2e: the program as a user runs it."""
