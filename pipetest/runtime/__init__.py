"""What keeps a process going: periodic calls, alarms, logs, threads, systemd."""
