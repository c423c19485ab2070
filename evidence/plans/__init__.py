"""What is run for each chapter."""
