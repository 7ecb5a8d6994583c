"""How the daemon is: status, health, forecast, history, heartbeat."""
