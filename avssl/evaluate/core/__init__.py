"""What every protocol shares: result rows, intervals and bootstraps, scores, the optimizer loop, charts."""
