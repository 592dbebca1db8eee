"""crewai: see the page in docs."""
