"""The command ``pipetest``, for people at a terminal and for cron. Nothing else imports click and rich."""
