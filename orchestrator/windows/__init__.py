"""Native windows of agents: choosing a terminal, opening it, what it reports, and seeing that it is gone."""
