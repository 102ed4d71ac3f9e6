"""What the server costs: drivers, yardsticks and the budgets they are compared with. Run by `python -m benchmarks`."""
