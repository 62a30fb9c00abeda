"""From packets to pictures and samples at exact times."""
