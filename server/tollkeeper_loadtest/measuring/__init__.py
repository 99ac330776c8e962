"""What the load was like: latencies, rates, errors, second by second, and the highest rate that keeps a bound."""
