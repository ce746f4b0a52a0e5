"""Stories told to the exchange: scenario files, and simulated markets."""
