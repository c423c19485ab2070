"""What keeps the book: execute, ledger, mutants."""
